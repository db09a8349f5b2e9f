package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

func taskID(job string, n int) string { return tasks.TaskID(job, n) }

// preview is a value as far as it fits a page: rows of a data frame as a table, all else
// as JSON.
type preview struct {
	Size    int64
	Text    string
	Cut     bool // there is more of it
	Columns []string
	Rows    [][]string
	Of      int // rows in all
	Problem string
}

const (
	previewMost    = 4 << 20 // larger values are not asked for as JSON
	previewText    = 12 << 10
	previewRows    = 15
	previewColumns = 12
)

func (d *Dashboard) preview(r *http.Request, t *api.Task) *preview {
	p := &preview{Size: t.ResultSize}
	if p.Size > previewMost {
		p.Problem = "It is too large to be shown here."
		return p
	}
	var value json.RawMessage
	if err := d.get(r, "/v1/tasks/"+t.ID+"/result", nil, &value); err != nil {
		p.Problem = faultOf(err).Message
		return p
	}
	if p.table(value) {
		return p
	}
	var b bytes.Buffer
	if json.Indent(&b, value, "", "  ") != nil {
		b.Reset()
		b.Write(value)
	}
	p.Text = b.String()
	if len(p.Text) > previewText {
		p.Text, p.Cut = strings.ToValidUTF8(p.Text[:previewText], ""), true
	}
	return p
}

// table takes an array of objects whose values are no objects themselves, as a data.frame
// is in JSON.
func (p *preview) table(value json.RawMessage) bool {
	if trimmed := bytes.TrimSpace(value); len(trimmed) == 0 || trimmed[0] != '[' {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	d.Token()
	var columns []string
	var rows [][]string
	for ; d.More(); p.Of++ {
		var raw json.RawMessage
		if d.Decode(&raw) != nil || len(raw) == 0 || raw[0] != '{' {
			return false
		}
		if len(rows) >= previewRows {
			continue
		}
		names, cells, ok := fields(raw)
		if !ok {
			return false
		}
		for _, n := range names {
			if !slices.Contains(columns, n) {
				columns = append(columns, n)
			}
		}
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = cells[c]
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 || len(columns) == 0 {
		return false
	}
	p.Cut = p.Of > len(rows) || len(columns) > previewColumns
	p.Columns = columns[:min(len(columns), previewColumns)]
	for _, row := range rows {
		p.Rows = append(p.Rows, row[:min(len(row), previewColumns)])
	}
	return true
}

// fields are those of an object in their order.
func fields(object json.RawMessage) (names []string, cells map[string]string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	d.Token()
	cells = map[string]string{}
	for d.More() {
		name, err := d.Token()
		var v any
		if err != nil || d.Decode(&v) != nil {
			return nil, nil, false
		}
		text := ""
		switch v := v.(type) {
		case map[string]any, []any:
			return nil, nil, false
		case nil:
			text = "NA"
		case bool:
			text = strings.ToUpper(fmt.Sprint(v))
		default:
			text = fmt.Sprint(v)
		}
		if len(text) > 80 {
			text = strings.ToValidUTF8(text[:80], "") + "…"
		}
		names, cells[name.(string)] = append(names, name.(string)), text
	}
	return names, cells, true
}

// fraction is a share in thousandths; -1 for none.
func fraction(value json.RawMessage) int {
	var n float64
	if json.Unmarshal(value, &n) != nil {
		var o struct {
			Fraction *float64 `json:"fraction"`
		}
		if json.Unmarshal(value, &o) != nil || o.Fraction == nil {
			return -1
		}
		n = *o.Fraction
	}
	if n < 0 || n > 1 {
		return -1
	}
	return int(n * 1000)
}

// indented is a document for people to read; "" for none.
func indented(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	if len(text) > 4*previewText {
		return strings.ToValidUTF8(string(text[:4*previewText]), "") + "\n…"
	}
	return string(text)
}
