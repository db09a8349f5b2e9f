package sources

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/webapi"
)

// apiRecords makes rows of the records in answers.
type apiRecords struct {
	config *HTTP
	stage  string
	path   ndjson.Path
	since  *cursors
	parser *ndjson.Parser // nil before the columns are known
	schema *frame.Schema
}

// settle fixes the columns.
func (a *apiRecords) settle(s *frame.Schema) {
	a.schema = s
	a.parser = ndjson.NewParser(s, ndjson.Options{Ignore: a.config.UnknownKeys == "ignore"})
}

// infer finds the columns in the records of the first pages.
func (a *apiRecords) infer(pages []*answer) (*frame.Schema, error) {
	declared, err := namedTypes(a.config.Types)
	if err != nil {
		return nil, fmt.Errorf("types: %w", err)
	}
	in := ndjson.NewInferrer(declared)
	good := 0
	var bad error
	for _, p := range pages {
		for i, r := range p.records {
			switch err := in.Sample(r); {
			case err == nil:
				good++
			case bad == nil:
				bad = p.explain(i, err)
			}
		}
	}
	if good == 0 {
		return nil, bad // nil where there are no records at all
	}
	fields := in.Schema().Fields()
	if len(fields) == 0 {
		return nil, errors.New("the records are empty objects, so the columns are not known; give them with schema")
	}
	for i, f := range fields {
		if d, ok := declared[f.Name]; ok {
			fields[i] = d
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// rows makes a frame of a page's records from index from on, at most frame.Rows
// of them, and says at which it stopped. total is the number of the first in the
// whole input.
func (a *apiRecords) rows(p *answer, from int, total int64) (made frame.Frame, bad []*stages.Rejected, to int, err error) {
	good := 0
	for to = from; to < len(p.records) && good < frame.Rows && len(bad) < frame.Rows; to++ {
		record := p.records[to]
		isNew, err := a.isNew(record)
		if err == nil && !isNew {
			continue
		}
		if err == nil {
			err = a.parser.Append(record)
		}
		if err == nil {
			good++
			continue
		}
		err = p.explain(to, err)
		if a.config.OnError != "skip" && a.config.OnError != "dead_letter" {
			return nil, nil, 0, err
		}
		bad = append(bad, &stages.Rejected{
			Stage: a.stage, Raw: bytes.Clone(record), First: total + int64(to-from), Err: err,
			Drop: a.config.OnError == "skip", Attempt: 1,
		})
	}
	if good == 0 {
		return frame.Empty(a.schema), bad, to, nil
	}
	made, err = a.parser.Frame()
	return made, bad, to, err
}

// isNew looks for the cursor of what is an object.
func (a *apiRecords) isNew(record []byte) (bool, error) {
	if record[0] != '{' {
		return true, nil // the parser says what is wrong
	}
	return a.since.take(record)
}

// answer is one page that has come.
type answer struct {
	page    page
	url     string // for errors
	method  string
	records [][]byte
	bytes   int64
	next    page
	last    bool // there is no next
}

// explain places a bad record.
func (p *answer) explain(i int, err error) error {
	return fmt.Errorf("%s %s: page %d, record %d: %w", p.method, p.url, p.page.Number+1, i+1, mended(err))
}

// find takes the records out of an answer.
func (a *apiRecords) find(r *webapi.Response) (records [][]byte, err error) {
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return nil, nil // 204, and who forgets to say so
	}
	if err := ndjson.Valid(r.Body); err != nil {
		return nil, notJSON(r, err)
	}
	value, ok := a.path.Find(r.Body)
	if !ok {
		return nil, fmt.Errorf("there is nothing at records, %s; %s", a.config.Records, described(r.Body))
	}
	switch value[0] {
	case 'n':
		return nil, nil
	case '{':
		return [][]byte{value}, nil
	case '[':
		err = ndjson.Elements(value, func(element []byte) error {
			records = append(records, element)
			return nil
		})
		return records, err
	}
	return nil, fmt.Errorf("records must lead to an array or an object, and at %q is %s; %s", a.config.Records, ndjson.Describe(value), described(r.Body))
}

// described says what the top of a document is, for errors.
func described(document []byte) string {
	var names []string
	if keys, err := ndjson.Keys(document); err == nil {
		names = keys
	}
	if len(names) == 0 {
		return "the answer is " + ndjson.Describe(document)
	}
	return "the answer has " + strings.Join(names[:min(10, len(names))], ", ")
}

// notJSON says what came instead of JSON.
func notJSON(r *webapi.Response, err error) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "" {
		kind = "no content type"
	}
	const most = 100
	start := bytes.TrimSpace(r.Body)
	if len(start) > most {
		start = start[:most]
	}
	return fmt.Errorf("the answer is not JSON (%d, %s): it begins with %s: %w", r.Status, kind, strconv.Quote(string(start)), err)
}

// pairsOf and schemaOf keep columns in a position.
func pairsOf(s *frame.Schema) (pairs [][2]string) {
	for _, f := range s.Fields() {
		pairs = append(pairs, [2]string{f.Name, frame.TypeName(f)})
	}
	return pairs
}

func schemaOf(pairs [][2]string) (*frame.Schema, error) {
	fields := make([]arrow.Field, len(pairs))
	for i, p := range pairs {
		var err error
		if fields[i], err = namedType(p[0], p[1]); err != nil {
			return nil, fmt.Errorf("resume: %w", err)
		}
	}
	return arrow.NewSchema(fields, nil), nil
}
