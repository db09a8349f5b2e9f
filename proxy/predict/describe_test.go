package predict

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

func TestEndpointsThatCannotBe(t *testing.T) {
	f := func(edit func(*Endpoint), want ...string) {
		t.Helper()
		var e Endpoint
		configs.SetDefaults(&e)
		e.Fun, e.Schema = "score", columns("x", "double", "s", "string")
		edit(&e)
		var got []string
		e.Check(func(field, message, hint string) { got = append(got, field+": "+message) })
		slices.Sort(got)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q\nwant\n%q", got, want)
		}
	}
	one := 1.0
	f(func(e *Endpoint) {})
	f(func(e *Endpoint) { e.Fun, e.Pipeline = "", "features.yaml" })
	f(func(e *Endpoint) { e.Path = "predict" }, "path: must begin with a slash")
	f(func(e *Endpoint) { e.Fun = "" }, ": says neither fun nor pipeline, so nothing would answer")
	f(func(e *Endpoint) { e.Pipeline = "features.yaml" }, "pipeline: stands beside fun")
	f(func(e *Endpoint) { e.Fun = "score(x)" }, "fun: is not the name of a function")
	f(func(e *Endpoint) { e.Rules = map[string]Rule{"y": {}} }, "rules.y: is a column that schema does not have")
	f(func(e *Endpoint) { e.Rules = map[string]Rule{"x": {Enum: []string{"a"}}} }, "rules.x.enum: is for columns of text, and x is double")
	f(func(e *Endpoint) { e.Rules = map[string]Rule{"s": {Min: &one}} }, "rules.s: min and max are for numbers, and s is string")
	f(func(e *Endpoint) { e.Keys = []string{"x", "id", "x"} }, "keys[1]: is a column that schema does not have", "keys[2]: is named twice")
	f(func(e *Endpoint) { e.Schema, e.Keys = nil, []string{"id"} })
	f(func(e *Endpoint) { e.Schema = columns("x", "complex") }, `schema.x: `+typeError("complex"))
}

func typeError(text string) string {
	_, err := frame.ParseType(text)
	return err.Error()
}

// none is a scorer that scores nothing.
type none struct{}

func (none) score(context.Context, *exchange.Exchange, frame.Frame) (*results, error) {
	return &results{}, nil
}
func (none) columns() *frame.Schema      { return nil }
func (none) drain(context.Context) error { return nil }

func TestTheDescription(t *testing.T) {
	r := readerOf(t, "x", "double", "f", "factor", "day", "date")
	five, no := 5.0, false
	rules := map[string]Rule{"x": {Min: &five, Nullable: &no}, "f": {Enum: []string{"b", "a"}, Required: &no}}
	var e Endpoint
	configs.SetDefaults(&e)
	e.Path, e.Fun, e.Rules, e.Schema = "/p", "it's", rules, columns("x", "double", "f", "factor", "day", "date")
	var err error
	if r.schema, err = schemaOf(&e); err != nil {
		t.Fatal(err)
	}
	p := &Predictor{o: Options{Endpoint: e, Prefix: "/api"}, reader: *r, scorer: none{}, idle: make(chan struct{})}
	w := httptest.NewRecorder()
	ctx := exchange.With(t.Context(), &exchange.Exchange{Scheme: "https"}) // which ended before a proxy
	p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "http://host.example/p", nil))
	var d struct {
		Path    string
		Example []map[string]any
		Curl    string
		OpenAPI struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct {
						Schema struct {
							Items struct {
								Required   []string
								Properties map[string]map[string]any
							}
						}
					}
				}
				Responses map[string]any
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if want := `curl -H 'Content-Type: application/json' -d '[{"day":"2024-02-29","f":"b","x":5}]' https://host.example/api/p`; d.Path != "/api/p" || d.Curl != want {
		t.Errorf("%s %s", d.Path, d.Curl)
	}
	items := d.OpenAPI.Post.RequestBody.Content["application/json"].Schema.Items
	if !slices.Equal(items.Required, []string{"x", "day"}) || items.Properties["x"]["minimum"] != 5.0 || items.Properties["x"]["nullable"] != nil ||
		items.Properties["f"]["nullable"] != true || items.Properties["day"]["format"] != "date" || len(d.OpenAPI.Post.RequestBody.Content) != len(allMedia) {
		t.Errorf("%s", w.Body)
	}
	// What is given as an example is taken.
	example, _ := json.Marshal(d.Example)
	if in, err := p.reader.read(mediaJSON, example); err != nil || len(in.errors) > 0 {
		t.Errorf("%s: %v %v", example, err, in.errors)
	}
	w = httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("PUT", "/p", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT: %d %v", w.Code, w.Header())
	}
}

func TestMedia(t *testing.T) {
	f := func(contentType, accept string, came, want media, status int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		got, err := received(r)
		var out media
		if err == nil {
			out, err = wanted(r, got)
		}
		if statusOf(err) != status || err == nil && (got != came || out != want) {
			t.Errorf("%q, %q: %s, %s, %v; want %s, %s, %d", contentType, accept, got, out, err, came, want, status)
		}
	}
	f("", "", mediaJSON, mediaJSON, 0)
	f("application/x-www-form-urlencoded", "*/*", mediaJSON, mediaJSON, 0)
	f("application/json; charset=UTF-8", "text/html, */*;q=0.1", mediaJSON, mediaJSON, 0)
	f("application/vnd.api+json", "", mediaJSON, mediaJSON, 0)
	f("text/csv", "", mediaCSV, mediaCSV, 0)
	f("text/csv", "application/json", mediaCSV, mediaJSON, 0)
	f("text/csv", "application/*", mediaCSV, mediaJSON, 0)
	f("text/csv", "text/*", mediaCSV, mediaCSV, 0)
	f("application/x-ndjson", "application/json;q=0.5, text/csv;q=0.9", mediaNDJSON, mediaCSV, 0)
	f("application/vnd.apache.arrow.stream", "application/*", mediaArrowStream, mediaArrowStream, 0)
	f("application/json", "text/csv;q=0", "", "", 406)
	f("application/json", "image/png", "", "", 406)
	f("image/png", "", "", "", 415)
	f("text/csv; charset=latin1", "", "", "", 415)
	f("text/csv;;", "", "", "", 415)
}
