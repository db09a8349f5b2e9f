package sources

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/webapi"
)

// HTTP reads the records of a web API, page by page. Nothing is requested before
// the first read. One page is asked for while those before it are worked on.
//
// Requests are taken to ask and not to act: one that fails is sent again
// whatever its method.
type HTTP struct {
	URL           string        `yaml:"url" required:"true" doc:"Where the first page is. {cursor} stands for the cursor of incremental, escaped for its place, {cursor?} for it or nothing." example:"https://api.example.com/v1/orders"`
	Method        string        `yaml:"method" default:"GET" enum:"GET|POST" doc:"The method. A POST is sent again like a GET where it fails."`
	Params        configs.Pairs `yaml:"params" doc:"Parameters for the query, name to value, which may hold {cursor}. One that is a missing {cursor?} alone is left out." example:"{status: shipped, per_page: '100'}"`
	Body          any           `yaml:"body" doc:"What to send with a POST: a mapping or list is sent as JSON, a text as it is; {cursor} may stand in its texts, and {{ is a brace."`
	webapi.Config `yaml:",inline"`
	Records       string            `yaml:"records" doc:"Path of the records in an answer: keys joined by dots, elements of arrays by their number, such as data.items. There must be an array of objects, an object (one record) or null (none). Without it the whole answer is that." example:"data.items"`
	Schema        configs.Pairs     `yaml:"schema" doc:"All columns in their order, with their types, as in ndjson. Inferred where it is not set: a later run may then find others, so give it where output is added to what is there." example:"{id: int64, updated_at: timestamp[UTC], lines: json}"`
	Types         map[string]string `yaml:"types" doc:"Types of some columns by name; those that are not named here are inferred." example:"{updated_at: timestamp[UTC]}"`
	InferRows     int               `yaml:"infer_rows" default:"1000" min:"1" doc:"How many records are looked at to infer columns and types; the rows go on together."`
	UnknownKeys   string            `yaml:"unknown_keys" default:"error" enum:"error|ignore" doc:"What a key is that the schema does not have: error makes the record a bad one, ignore drops the key."`
	OnError       string            `yaml:"on_error" default:"stop" enum:"stop|skip|dead_letter" doc:"What to do with a bad record (not an object, a value that is not of its column's type, an unknown key, no cursor): stop ends the run, skip drops and counts it, dead_letter writes its text and the error to the pipeline's dead_letter. A request that fails for good ends the run in any case."`
	Paginate      *Paginate         `yaml:"paginate" doc:"How to get from one page to the next. Without it there is one page."`
	MaxPages      int64             `yaml:"max_pages" default:"0" min:"0" doc:"How many pages are read at most, in each round of poll; 0 is all. With incremental it needs ordered: true there, or the next run would miss what was left."`
	Since         *Since            `yaml:"incremental" doc:"Reads only what is new since the last run. The largest cursor is saved in the pipeline's state once everything that was read is committed; rpipe state shows it."`
	Poll          configs.Duration  `yaml:"poll" default:"0s" doc:"Asks again that long after the last page, from the cursor, until the run is stopped: the source has no end. 0 reads all pages once."`
	Replayable    bool              `yaml:"replayable" default:"false" doc:"Says that the API gives the same records for the same request for as long as a run takes, in the same order: a run may then commit on its way, and a resumed one asks from the page where the crash was. An API whose pages move as records come and go must not have it."`

	start string // what StartFrom was told
}

var (
	_ Source          = (*HTTP)(nil)
	_ Endless         = (*HTTP)(nil)
	_ Incremental     = (*HTTP)(nil)
	_ configs.Checker = (*HTTP)(nil)
	_ configs.Warner  = (*HTTP)(nil)
)

// DeadLetters reports whether bad records go to the dead letter.
func (h *HTTP) DeadLetters() bool { return h.OnError == "dead_letter" }

// Endless reports whether the source asks again and again.
func (h *HTTP) Endless() bool { return h.Poll > 0 }

// Incremental reports whether a cursor is saved between runs.
func (h *HTTP) Incremental() bool { return h.Since != nil }

// CheckCursor refuses a cursor of another kind than the one that is like it.
func (h *HTTP) CheckCursor(cursor, saved string) error {
	return h.Since.check(cursor, saved)
}

// StartFrom takes what Cursor of an earlier run's reader has said.
func (h *HTTP) StartFrom(cursor string) { h.start = cursor }

// Check reports settings that do not go together.
func (h *HTTP) Check(report func(field, message, hint string)) {
	r, err := h.request()
	if err != nil {
		field, message, _ := strings.Cut(err.Error(), ": ")
		report(field, message, "")
		return
	}
	checkTypes(h.Schema, h.Types, report)
	if _, err := ndjson.ParsePath(h.Records); err != nil {
		report("records", err.Error(), "such as data.items")
	}
	if h.Body != nil && h.Method != "POST" {
		report("body", "a GET has none", "say method: POST, or params")
	}
	if h.Paginate != nil && h.Paginate.In == "body" && h.Method != "POST" {
		report("paginate.in", "a GET has no body", "")
	}
	if p, err := newPager(h.Paginate); err == nil && p.In != "body" {
		for _, q := range p.params(page{Number: 1}) {
			if _, ok := h.Params.Get(q.name); ok {
				report("params."+q.name, "paginate sets it", "")
			}
		}
	}
	h.checkCursor(r, report)
}

// checkCursor reports where {cursor} stands and there is none, and the reverse.
func (h *HTTP) checkCursor(r *apiRequest, report func(field, message, hint string)) {
	asked, needed := false, ""
	for _, p := range r.places() {
		if p.Name != "cursor" {
			report("", fmt.Sprintf("{%s} has no value here: a source has only {cursor}", p.Name), "write {{ for a brace")
			return
		}
		asked = true
		if !p.Optional {
			needed = "{cursor}"
		}
	}
	switch s := h.Since; {
	case s == nil && asked:
		report("incremental", "{cursor} has no value without it", "such as incremental: {cursor: updated_at, initial: \"2026-01-01\"}")
	case s == nil:
	case h.MaxPages > 0 && !s.Ordered:
		report("max_pages", "leaves records behind, which the next run misses if their cursor is less than one that was read", "say ordered: true in incremental if the records come in the order of the cursor")
	case s.Param == "" && !asked:
		report("incremental.param", "nothing tells the server from where to go on", "name the parameter of the query that takes the cursor, or write {cursor} where it stands")
	case s.Initial == "" && needed != "":
		report("incremental.initial", "is needed, since {cursor} must have a value in the first run", "or write {cursor?} for nothing")
	}
}

// Warn reports what is likely meant otherwise.
func (h *HTTP) Warn(report func(field, message, hint string)) {
	if h.Poll > 0 && h.Since == nil {
		report("poll", "without incremental every round reads all records again", "")
	}
	if h.Paginate == nil && h.MaxPages > 1 {
		report("max_pages", "there is one page without paginate", "")
	}
}

// Open reads the settings. It asks for nothing.
func (h *HTTP) Open(ctx context.Context, env *stages.Env, from string) (Reader, error) {
	r := &httpReader{config: h, env: env, ctx: context.WithoutCancel(ctx)}
	if err := h.open(r, from); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	limiters, err := env.Limiters()
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	client, err := webapi.New(&h.Config, webapi.Options{Dir: env.Dir, AtOnce: 1, Limiters: limiters, Log: env.Log})
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	r.client, r.release = client, client.Close
	return r, nil
}

// open readies a reader but for its client.
func (h *HTTP) open(r *httpReader, from string) (err error) {
	if r.request, err = h.request(); err != nil {
		return err
	}
	if r.pager, err = newPager(h.Paginate); err != nil {
		return err
	}
	r.records = apiRecords{config: h, stage: r.env.Stage}
	if r.records.path, err = ndjson.ParsePath(h.Records); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	declared, err := h.declared()
	if err != nil {
		return err
	}
	if declared != nil {
		r.settle(declared)
	}
	return r.resume(from)
}

// declared is the schema, where it is given.
func (h *HTTP) declared() (*arrow.Schema, error) {
	if len(h.Schema) == 0 {
		return nil, nil
	}
	fields := make([]arrow.Field, len(h.Schema))
	for i, p := range h.Schema {
		var err error
		if fields[i], err = namedType(p.Name, p.Value); err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// checkTypes reports types that are none.
func checkTypes(schema configs.Pairs, types map[string]string, report func(field, message, hint string)) {
	if len(schema) > 0 && len(types) > 0 {
		report("types", "types are for columns that are inferred, and schema names all", "put them into schema")
	}
	for _, p := range schema {
		if _, err := namedType(p.Name, p.Value); err != nil {
			report("schema", err.Error(), "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if _, err := namedType(name, types[name]); err != nil {
			report("types", err.Error(), "")
		}
	}
}
