package sources

import (
	"fmt"
	"strconv"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/webapi"
)

// Paginate says how to get from one page to the next, in the words of dlt.
type Paginate struct {
	Type        string `yaml:"type" required:"true" enum:"json_link|header_link|cursor|page_number|offset|none" doc:"json_link: the answer holds the URL of the next page. header_link: the header Link does. cursor: the answer holds a token for a parameter. page_number: pages are counted. offset: records are counted. none: there is one page."`
	Next        string `yaml:"next" default:"next" doc:"json_link: path of the URL in the answer; the last page has none, null or an empty text. It may be relative. Where credentials, headers or a body go along it must stay on the host of url." example:"links.next"`
	Rel         string `yaml:"rel" default:"next" doc:"header_link: the link's relation."`
	CursorPath  string `yaml:"cursor_path" default:"cursors.next" doc:"cursor: path of the token in the answer; the last page has none, null or an empty text." example:"meta.next_cursor"`
	CursorParam string `yaml:"cursor_param" default:"cursor" doc:"cursor: the parameter that takes the token."`
	PageParam   string `yaml:"page_param" default:"page" doc:"page_number: the parameter that takes the number."`
	Start       int64  `yaml:"start" default:"1" min:"0" doc:"page_number: the number of the first page."`
	OffsetParam string `yaml:"offset_param" default:"offset" doc:"offset: the parameter that takes the number of records before the page. It grows by the records that came, so a server that gives fewer than asked for loses none."`
	Limit       int64  `yaml:"limit" default:"0" min:"0" doc:"page_number, offset: how many records to ask for in a page; 0 leaves it to the server."`
	LimitParam  string `yaml:"limit_param" default:"limit" doc:"page_number, offset: the parameter that takes limit."`
	TotalPath   string `yaml:"total_path" doc:"page_number: path of the number of pages; offset: of the number of records. Without it the pages end with one that has no records." example:"meta.total"`
	HasMorePath string `yaml:"has_more_path" doc:"Path of a value that is true as long as there is another page." example:"has_more"`
	In          string `yaml:"in" default:"query" enum:"query|body" doc:"Where the parameters go: into the query, or into the JSON body, in which their names are paths such as variables.after."`
}

var _ configs.Checker = (*Paginate)(nil)

// Shorthand lets the type stand for the mapping.
func (Paginate) Shorthand() string { return "type" }

// Check reports paths that are none.
func (p *Paginate) Check(report func(field, message, hint string)) {
	for _, f := range []struct{ field, path string }{
		{"next", p.Next}, {"cursor_path", p.CursorPath}, {"total_path", p.TotalPath}, {"has_more_path", p.HasMorePath},
	} {
		if _, err := ndjson.ParsePath(f.path); err != nil {
			report(f.field, err.Error(), "")
		}
	}
}

// page says which page is meant; the zero page is the first.
type page struct {
	Number int64  `json:"number,omitempty"` // how many pages are before it
	URL    string `json:"url,omitempty"`    // of a link
	Token  string `json:"token,omitempty"`  // of type cursor
	Offset int64  `json:"offset,omitempty"` // records before it
}

// pager goes from page to page.
type pager struct {
	Paginate
	next, token, total, more ndjson.Path
}

func newPager(c *Paginate) (*pager, error) {
	p := &pager{Paginate: Paginate{Type: "none"}}
	if c != nil {
		p.Paginate = *c
	}
	for _, f := range []struct {
		text string
		to   *ndjson.Path
	}{
		{p.Next, &p.next}, {p.CursorPath, &p.token}, {p.TotalPath, &p.total}, {p.HasMorePath, &p.more},
	} {
		var err error
		if *f.to, err = ndjson.ParsePath(f.text); err != nil {
			return nil, fmt.Errorf("paginate: %w", err)
		}
	}
	return p, nil
}

// param is one parameter of a request for a page.
type param struct {
	name, value string
	number      bool
}

func (p param) json() any {
	if n, err := strconv.ParseInt(p.value, 10, 64); p.number && err == nil {
		return n
	}
	return p.value
}

func counted(name string, n int64) param { return param{name, strconv.FormatInt(n, 10), true} }

// params are those of the request for a page.
func (p *pager) params(at page) (out []param) {
	switch p.Type {
	case "cursor":
		if at.Number > 0 {
			out = append(out, param{name: p.CursorParam, value: at.Token})
		}
		return out
	case "page_number":
		out = append(out, counted(p.PageParam, p.Start+at.Number))
	case "offset":
		out = append(out, counted(p.OffsetParam, at.Offset))
	default:
		return nil
	}
	if p.Limit > 0 {
		out = append(out, counted(p.LimitParam, p.Limit))
	}
	return out
}

// after is the page after one that had so many records; ok is false where that
// was the last.
func (p *pager) after(at page, request *webapi.Request, r *apiRequest, answer *webapi.Response, records int64) (next page, ok bool, err error) {
	next = page{Number: at.Number + 1}
	if p.HasMorePath != "" && text(p.more, answer.Body) != "true" {
		return next, false, nil
	}
	switch p.Type {
	case "json_link", "header_link":
		link := headerLink(answer.Header.Values("Link"), p.Rel)
		if p.Type == "json_link" {
			link = text(p.next, answer.Body)
		}
		if link == "" || link == "false" {
			return next, false, nil
		}
		next.URL, err = r.follow(request.URL, link)
		return next, err == nil, err
	case "cursor":
		next.Token = text(p.token, answer.Body)
		return next, next.Token != "" && next.Token != "false", nil
	case "page_number", "offset":
		next.Offset = at.Offset + records
		ok = records > 0
		if p.TotalPath != "" {
			done := next.Number
			if p.Type == "offset" {
				done = next.Offset
			}
			total, err := strconv.ParseInt(text(p.total, answer.Body), 10, 64)
			if err != nil {
				return next, false, fmt.Errorf("paginate: there is no whole number at total_path, %s", p.TotalPath)
			}
			ok = ok && done < total
		}
		return next, ok, nil
	}
	return next, false, nil
}

// text is what stands at a path of a document; "" where nothing does.
func text(path ndjson.Path, document []byte) string {
	if len(document) == 0 {
		return ""
	}
	value, ok := path.Find(document)
	if !ok {
		return ""
	}
	said, _ := ndjson.Text(nil, value)
	return string(said)
}
