package sources

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/webapi"
)

// leftOut looks at a first page that is said to be the last one for want of a key.
// Some servers leave the key out at the end. Where one of nearly that name has a
// value that promises more, the path is misspelt and the rest would be lost, which
// is an error; else it is for the user to judge.
func (r *httpReader) leftOut(at page, answer *webapi.Response, records int) error {
	if at.Number > 0 || records == 0 {
		return nil
	}
	for _, by := range r.pager.goesBy() {
		what, meant := stages.AbsentKey(by.path, answer.Body)
		if what == "" {
			continue
		}
		promised := by.field != "has_more_path" && r.pager.HasMorePath != "" && text(r.pager.more, answer.Body) == "true"
		said, _ := ndjson.Text(nil, meant)
		switch string(said) {
		case "", "false", "0", "[]", "{}":
		default:
			promised = true
		}
		if promised {
			return fmt.Errorf("paginate: %s, %s, leads to nothing: %s", by.field, by.path, what)
		}
		if !r.noted && r.env.Log != nil {
			r.noted = true
			r.env.Log.Warn(fmt.Sprintf("paginate: %s, %s, leads to nothing in the first page, which is taken for the last: %s", by.field, by.path, what), "url", answer.URL)
		}
	}
	return nil
}

// nextBy is a path by whose absence the pages end.
type nextBy struct {
	field string
	path  ndjson.Path
}

func (p *pager) goesBy() (by []nextBy) {
	if p.HasMorePath != "" {
		by = append(by, nextBy{"has_more_path", p.more})
	}
	switch p.Type {
	case "cursor":
		by = append(by, nextBy{"cursor_path", p.token})
	case "json_link":
		by = append(by, nextBy{"next", p.next})
	}
	return by
}
