package stages

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
)

// fetchShape is the columns that a fetch adds.
type fetchShape []fetchPart

// fetchPart is what one request adds to a row.
type fetchPart struct {
	json   *frame.Schema // by the answer's names; nil while it is not known
	prefix string        // of the columns' names
	beside []arrow.Field // status and the like
}

// declaredShape is what the configuration says.
func declaredShape(requests []*compiledRequest) fetchShape {
	shape := make(fetchShape, len(requests))
	for i, r := range requests {
		p := fetchPart{prefix: r.Response.Prefix, beside: r.Response.beside()}
		switch {
		case r.Response.Format != "json":
			p.json = arrow.NewSchema(nil, nil)
		case len(r.columns) > 0:
			p.json = declaredColumns(r.columns)
		}
		shape[i] = p
	}
	return shape
}

// declaredColumns is the schema of columns that all have a type; else nil.
func declaredColumns(columns []responseColumn) *frame.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		if c.field == nil {
			return nil
		}
		fields[i] = *c.field
	}
	return arrow.NewSchema(fields, nil)
}

func (s fetchShape) decided() bool {
	for _, p := range s {
		if p.json == nil {
			return false
		}
	}
	return true
}

// fields are the columns with the names that they get.
func (p *fetchPart) fields() []arrow.Field {
	var out []arrow.Field
	for _, f := range p.json.Fields() {
		f.Name = p.prefix + f.Name
		out = append(out, f)
	}
	return append(out, p.beside...)
}

// schema is the output's, for an input's.
func (s fetchShape) schema(in *frame.Schema) (*frame.Schema, error) {
	fields := append([]arrow.Field(nil), in.Fields()...)
	from := map[string]string{}
	for _, f := range fields {
		from[f.Name] = "the input"
	}
	for i := range s {
		for _, f := range s[i].fields() {
			if have := from[f.Name]; have != "" {
				return nil, fmt.Errorf("column %q of the answer: %s has one of this name; give it another in response.columns, or say response: {prefix: …}", f.Name, have)
			}
			from[f.Name] = "another answer, or this one,"
			fields = append(fields, f)
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// maxSamples is how many records types are inferred from at most: an answer may
// have many.
const maxSamples = 100_000

// infer decides on the columns that are not known yet.
func (s fetchShape) infer(requests []*compiledRequest, rows []*fetchedRow) {
	for i, r := range requests {
		if s[i].json != nil {
			continue
		}
		declared := map[string]arrow.Field{}
		for _, c := range r.columns {
			if c.field != nil {
				declared[c.name] = *c.field
			}
		}
		in := ndjson.NewInferrer(declared)
		if len(r.columns) > 0 { // names and order are known in any case
			if record, err := r.record([]byte("null")); err == nil {
				in.Sample(record)
			}
		}
		n := 0
		for _, row := range rows {
			for _, record := range row.answers[i].records {
				if record != nil && n < maxSamples {
					in.Sample(record) // one with an error is its row's to report
					n++
				}
			}
		}
		s[i].json = in.Schema()
	}
}

// fetchNote is what a resumed run must know of a shape.
type fetchNote struct {
	Requests [][]fetchNoteColumn `json:"requests"`
}

type fetchNoteColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// keep puts the shape on record.
func (f *fetcher) keep(epoch uint64) error {
	note := fetchNote{Requests: make([][]fetchNoteColumn, len(f.shape))}
	for i, p := range f.shape {
		note.Requests[i] = []fetchNoteColumn{}
		for _, c := range p.json.Fields() {
			note.Requests[i] = append(note.Requests[i], fetchNoteColumn{c.Name, frame.TypeName(c)})
		}
	}
	return f.env.Keep(settled(epoch), note)
}

// recall takes up the shape of an earlier process of the run.
func (f *fetcher) recall() error {
	if f.shape.decided() {
		return nil
	}
	var note fetchNote
	ok, err := f.env.Recall(&note)
	if err != nil || !ok {
		return err
	}
	if len(note.Requests) != len(f.shape) {
		return fmt.Errorf("the run that is resumed had %d requests here, and there are %d; start anew with --fresh", len(note.Requests), len(f.shape))
	}
	for i, columns := range note.Requests {
		fields := make([]arrow.Field, len(columns))
		for k, c := range columns {
			field, err := frame.ParseType(c.Type)
			if err != nil {
				return fmt.Errorf("column %s of the run that is resumed: %w", c.Name, err)
			}
			field.Name = c.Name
			fields[k] = field
		}
		f.shape[i].json = arrow.NewSchema(fields, nil)
	}
	return nil
}

// Undeclared is the first key of the configuration under which columns lack a
// type, so that only answers can tell it; "" where all have one.
func (c *Fetch) Undeclared() string {
	requests, err := c.compile()
	if err != nil {
		return "" // Check has said so
	}
	for i, p := range declaredShape(requests) {
		if p.json == nil {
			return requests[i].field("response.columns")
		}
	}
	return ""
}
