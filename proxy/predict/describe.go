package predict

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// description is what GET tells of an endpoint.
type description struct {
	Path      string           `json:"path"`
	Method    string           `json:"method"`
	Fun       string           `json:"fun,omitempty"`
	Pipeline  string           `json:"pipeline,omitempty"`
	Accepts   []media          `json:"accepts"`
	MaxRows   int              `json:"max_rows"`
	Input     []columnInfo     `json:"input"`  // empty where any columns will do
	Output    []columnInfo     `json:"output"` // empty where R decides
	Example   []map[string]any `json:"example,omitempty"`
	Curl      string           `json:"curl,omitempty"`
	Operation map[string]any   `json:"openapi"`
}

// columnInfo describes a column.
type columnInfo struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Required bool     `json:"required,omitempty"`
	Nullable bool     `json:"nullable,omitempty"`
	Enum     []string `json:"enum,omitempty"`
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
}

func (p *Predictor) describe(w http.ResponseWriter, r *http.Request) {
	e := &p.o.Endpoint
	path := p.o.Prefix + e.Path
	d := description{
		Path: path, Method: http.MethodPost, Fun: e.Fun, Pipeline: e.Pipeline, Accepts: allMedia, MaxRows: e.MaxRows,
		Input: p.input(), Output: p.outputs(), Operation: p.Spec(),
	}
	if row := p.example(); row != nil {
		d.Example = []map[string]any{row}
		body, err := json.Marshal(d.Example)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		scheme := exchange.Of(r.Context()).Scheme // as the client sees it, behind a proxy too
		quoted := strings.ReplaceAll(string(body), "'", `'\''`)
		d.Curl = "curl -H 'Content-Type: application/json' -d '" + quoted + "' " + scheme + "://" + r.Host + path
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		return
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	_ = out.Encode(d) // a client that has gone is no error of ours
}

// input describes the columns of rows.
func (p *Predictor) input() []columnInfo {
	s := p.reader.schema
	if s == nil {
		return []columnInfo{}
	}
	out := infos(s.Schema)
	for i, r := range s.rules {
		out[i].Required, out[i].Nullable, out[i].Min, out[i].Max = r.required, r.nullable, r.min, r.max
		out[i].Enum = p.o.Endpoint.Rules[out[i].Name].Enum
	}
	return out
}

// outputs describes the columns of results.
func (p *Predictor) outputs() []columnInfo {
	s := p.scorer.columns()
	if s == nil {
		return []columnInfo{}
	}
	return infos(s)
}

func infos(s *frame.Schema) []columnInfo {
	out := make([]columnInfo, s.NumFields())
	for i, f := range s.Fields() {
		out[i] = columnInfo{Name: f.Name, Type: frame.TypeName(f)}
	}
	return out
}

// example is a row that the schema allows; nil without a schema.
func (p *Predictor) example() map[string]any {
	if p.reader.schema == nil {
		return nil
	}
	row := map[string]any{}
	for i, c := range p.input() {
		row[c.Name] = exampleOf(c, frame.KindOf(p.reader.schema.Field(i)))
	}
	return row
}

func exampleOf(c columnInfo, kind frame.Kind) any {
	if len(c.Enum) > 0 {
		return c.Enum[0]
	}
	switch kind {
	case frame.KindBool:
		return true
	case frame.KindInt32, frame.KindInt64, frame.KindDouble, frame.KindDifftime:
		v := 1.0
		if c.Min != nil {
			v = max(v, *c.Min)
		}
		if c.Max != nil {
			v = min(v, *c.Max)
		}
		return v
	case frame.KindDate:
		return "2024-02-29"
	case frame.KindTimestamp:
		return "2024-02-29T12:00:00Z"
	case frame.KindDatetime:
		return "2024-02-29T12:00:00"
	case frame.KindBinary:
		return "AAEC"
	case frame.KindJSON:
		return map[string]any{}
	case frame.KindList:
		return []any{}
	}
	return "text"
}
