package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/stages"
)

// httpOf decodes the settings of a source, so that it has the defaults.
func httpOf(t *testing.T, yaml string) *HTTP {
	t.Helper()
	var s spec
	if _, problems := configs.Load("p.yaml", []byte(yaml), configs.Variables{}, &s); len(problems) > 0 {
		t.Fatalf("%s: %v", yaml, problems)
	}
	return s.Use.(*HTTP)
}

// api is a server that remembers what it was asked.
type api struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func serve(t *testing.T, answer func(a *api, w http.ResponseWriter, r *http.Request)) *api {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.asked = append(a.asked, strings.TrimSpace(r.URL.RequestURI()+" "+string(body)))
		a.mu.Unlock()
		answer(a, w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// took gives what was asked since the last call.
func (a *api) took() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

func intOf(r *http.Request, name string, otherwise int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
		return n
	}
	return otherwise
}

// list writes records from to to-1 as a JSON array.
func list(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, `,{"id":%d,"name":"n%d"}`, i, i)
	}
	return "[" + strings.TrimPrefix(b.String(), ",") + "]"
}

// open opens a source on a fresh environment.
func openHTTP(t *testing.T, h *HTTP, from string) Reader {
	t.Helper()
	env := (&stages.Env{Parallel: 2}).For("source")
	r, err := h.Open(t.Context(), env, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRecordsPath(t *testing.T) {
	f := func(records, body string, want int, problem string) {
		t.Helper()
		a := serve(t, func(_ *api, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		n, err := rowsOf(t, httpOf(t, fmt.Sprintf("http: {url: %s/x, records: '%s'}", a.URL, records)), (&stages.Env{}).For("source"))
		if problem == "" && (err != nil || int(n) != want) || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%s in %s: %d rows, %v; want %d, %s", records, body, n, err, want, problem)
		}
	}
	f("", `[{"a":1},{"a":2}]`, 2, "")
	f("", `{"a":1}`, 1, "")
	f("", ``, 0, "")
	f("", `[]`, 0, "")
	f("data.items", `{"data":{"items":[{"a":1}]}}`, 1, "")
	f("data.items", `{"data":{"items":null}}`, 0, "")
	f("[1].items", `[7, {"items":[{"a":1}]}]`, 1, "")
	f("items", `{"data":[], "count": 3}`, 0, "/x: page 1: there is nothing at records, items; the answer has data, count")
	f("count", `{"data":[], "count": 3}`, 0, `records must lead to an array or an object, and at "count" is the number 3; the answer has data, count`)
	f("", `{"a":1`, 0, "the answer is not JSON (200, text/plain)")
	f("", "<!DOCTYPE html>\n<title>Log in</title>", 0, `/x: page 1: the answer is not JSON (200, text/html): it begins with "<!DOCTYPE html>\n<title>Log in</title>": JSON, byte 1:`)
	f("", `[1]`, 0, `/x: page 1, record 1: JSON, byte 1: '1' where a record ({…}) was expected`)
	f("", `[{}]`, 0, "the records are empty objects")
}

// What nests stays JSON, and types are those of ndjson.
func TestRecordsTypes(t *testing.T) {
	a := serve(t, func(_ *api, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, []string{`[{"id":1,"at":"2026-01-01T00:00:00Z","who":{"name":"é"}}]`, `[{"id":1.5,"tags":[1]}]`, `[]`}[intOf(r, "page", 1)-1])
	})
	got := flatten(t, httpOf(t, "http: {url: "+a.URL+", paginate: page_number, types: {at: 'timestamp[UTC]'}}"), (&stages.Env{}).For("source"))
	want := "id double, at timestamp[UTC], who json, tags json\n1|2026-01-01T00:00:00Z|{\"name\":\"é\"}|<NA>\n1.5|<NA>|<NA>|[1]\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Bad records are told apart, in their order, across a resume as well.
func TestBadRecords(t *testing.T) {
	pages := []string{`[{"id":1},7,{"id":2}]`, `[{"id":"x"},{"no":1}]`, `[{"id":3},null]`, `[]`}
	a := serve(t, func(_ *api, w http.ResponseWriter, r *http.Request) { io.WriteString(w, pages[intOf(r, "page", 1)-1]) })
	source := func(policy string) *HTTP {
		return httpOf(t, "http: {url: "+a.URL+"/r, replayable: true, schema: {id: int64}, paginate: page_number, on_error: "+policy+"}")
	}
	want := readAll(t, openHTTP(t, source("dead_letter"), ""))
	var bad []string
	for _, read := range want {
		bad = append(bad, told(read.Rejected)...)
	}
	for i, prefix := range []string{"1 7: GET " + a.URL, `3 {"id":"x"}: GET `, `4 {"no":1}: GET `, "6 null: GET "} {
		if i >= len(bad) || !strings.HasPrefix(bad[i], prefix) {
			t.Errorf("rejected %q, want %s", bad, prefix)
		}
	}
	if !strings.Contains(strings.Join(bad, "\n"), `page=2: page 2, record 1: column "id": "x" is not an int64`) {
		t.Errorf("rejected %q", bad)
	}
	for i, read := range want {
		same(t, "after "+read.Pos, readAll(t, openHTTP(t, source("dead_letter"), read.Pos)), want[i+1:])
	}
	if _, err := rowsOf(t, source("stop"), (&stages.Env{}).For("source")); err == nil || !strings.Contains(err.Error(), "page 1, record 2:") {
		t.Errorf("error %v", err)
	}
}

// Credentials stay with the host that they are for, and out of positions.
func TestCredentials(t *testing.T) {
	a := serve(t, func(a *api, w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("key") != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next := fmt.Sprintf("%s/items?key=s3cret&at=1", a.URL) // servers do repeat it
		if intOf(r, "at", 0) == 1 {
			next = "http://other.example/items"
		}
		fmt.Fprintf(w, `{"next": %q, "r": [{"id": 1}]}`, next)
	})
	r := openHTTP(t, httpOf(t, "http: {url: "+a.URL+"/items, records: r, infer_rows: 1, paginate: json_link, auth: {api_key: {name: key, in: query, value: s3cret}}}"), "")
	read, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(read.Pos, "s3cret") || !strings.Contains(read.Pos, "at=1") {
		t.Errorf("position %s", read.Pos)
	}
	_, err = r.Next(t.Context())
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "page 2: the next page is at other.example, and the credentials, headers and body are for 127.0.0.1") {
		t.Errorf("error %v", err)
	}
}

// Headers and bodies may be secrets as well: with them a link leads to no other
// host, and with the headers that everybody sends it may.
func TestHeadersStayWithTheirHost(t *testing.T) {
	away := serve(t, func(a *api, w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"r": [{"id": 2}]}`)
	})
	home := serve(t, func(a *api, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"next": %q, "r": [{"id": 1}]}`, away.URL+"/items")
	})
	f := func(more string, follows bool) {
		t.Helper()
		r := openHTTP(t, httpOf(t, "http: {url: "+home.URL+"/items, records: r, infer_rows: 1, paginate: json_link"+more+"}"), "")
		_, err := r.Next(t.Context())
		if err == nil {
			_, err = r.Next(t.Context())
		}
		if (err == nil) != follows || !follows && !strings.Contains(err.Error(), "and the credentials, headers and body are for") {
			t.Errorf("%s: error %v", more, err)
		}
	}
	f("", true)
	f(", headers: {accept: application/json, user-agent: me}", true)
	f(", headers: {X-Tenant: mine}", false)
	f(", method: POST, body: {token: s3cret}", false)
}

// A server that is busy is asked again; one that refuses ends the run.
func TestBusyServer(t *testing.T) {
	n := 0
	a := serve(t, func(a *api, w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		n++
		busy := n%3 != 0
		a.mu.Unlock()
		if busy {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		from := intOf(r, "offset", 0)
		io.WriteString(w, list(from, min(from+10, apiRecordCount)))
	})
	retry := "retry: {initial: 1ms, max: 1ms}"
	source := httpOf(t, "http: {url: "+a.URL+", method: POST, paginate: offset, "+retry+"}")
	if n, err := rowsOf(t, source, (&stages.Env{}).For("source")); n != apiRecordCount || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if asked := a.took(); len(asked) != 18 {
		t.Errorf("%d requests, want 3 for each of 6 pages", len(asked))
	}
	gone := serve(t, func(_ *api, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "no such thing")
	})
	if _, err := rowsOf(t, httpOf(t, "http: {url: "+gone.URL+"/x}"), (&stages.Env{}).For("source")); err == nil || !strings.Contains(err.Error(), "http: GET "+gone.URL+"/x: 404 Not Found: no such thing") {
		t.Errorf("error %v", err)
	}
}

func TestCheckHTTP(t *testing.T) {
	f := func(yaml string, want ...string) {
		t.Helper()
		var got spec
		_, problems := configs.Load("p.yaml", []byte("http: "+yaml), configs.Variables{}, &got)
		var messages []string
		for _, p := range problems {
			messages = append(messages, strings.TrimPrefix(p.Path, "http")+": "+p.Message)
		}
		if !slices.Equal(messages, want) {
			t.Errorf("%s:\n%q\nwant\n%q", yaml, messages, want)
		}
	}
	f("{url: https://x/y}")
	f("{url: x/y}", ".url: does not begin with http:// or https://")
	f("{url: 'https://{cursor}/y'}", ".url: the host must be written out")
	f("{url: 'https://u:p@x/y'}", ".url: has credentials in it; say auth: {basic: {user: …, password: …}}")
	f("{url: https://x, body: {a: 1}}", ".body: a GET has none")
	f("{url: https://x, records: 'a..b'}", `.records: "a..b" is no path into JSON: a key is empty`)
	f("{url: https://x, paginate: page_number, params: {page: '1'}}", ".params.page: paginate sets it")
	f("{url: 'https://x/{cursor}'}", ".incremental: {cursor} has no value without it")
	f("{url: 'https://x/{id}'}", ": {id} has no value here: a source has only {cursor}")
	f("{url: https://x, incremental: {cursor: at}}", ".incremental.param: nothing tells the server from where to go on")
	f("{url: 'https://x/{cursor}', incremental: {cursor: at}}", ".incremental.initial: is needed, since {cursor} must have a value in the first run")
	f("{url: 'https://x/', params: {since: '{cursor?}'}, incremental: {cursor: at}}")
	f("{url: https://x, incremental: {cursor: at, param: since, initial: '5', lag: 1h}}", `.incremental.lag: initial, "5", is no time, and only times have a lag`)
	f("{url: https://x, poll: 1m}", ".poll: without incremental every round reads all records again")
	f("{url: https://x, max_pages: 3, paginate: header_link, incremental: {cursor: at, param: since}}",
		".max_pages: leaves records behind, which the next run misses if their cursor is less than one that was read")
	f("{url: https://x, max_pages: 3, paginate: header_link, incremental: {cursor: at, param: since, ordered: true}}")
}

// A request that takes long does not hold up the end.
func TestCloseMeanwhile(t *testing.T) {
	asked := make(chan struct{}, 1)
	a := serve(t, func(_ *api, _ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	r := openHTTP(t, httpOf(t, "http: {url: "+a.URL+"}"), "")
	waits, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := r.Next(waits); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Next(t.Context()); err == nil || err == io.EOF {
		t.Errorf("after Close: %v", err)
	}
}

// Positions of other sources, and of pages that have shrunk, are refused.
func TestBadPositions(t *testing.T) {
	a := serve(t, func(_ *api, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, list(0, 3)) })
	source := httpOf(t, "http: {url: "+a.URL+"/x, replayable: true}")
	for _, pos := range []string{"x", `{"rows":1}`, `{"index":-1}`, `{"page":{"number":-1}}`, `{"page":{},"index":4,"total":4}`, `{"schema":[["a","frob"]]}`} {
		r, err := source.Open(t.Context(), (&stages.Env{}).For("source"), pos)
		if err == nil {
			_, err = r.Next(t.Context())
			r.Close()
		}
		if err == nil || err == io.EOF {
			t.Errorf("position %s: %v", pos, err)
		}
	}
	if _, err := httpOf(t, "http: {url: "+a.URL+", incremental: {cursor: at, param: since, unique_key: id}}").openFrom(t, `{"cursor":`); err == nil || !strings.Contains(err.Error(), "rpipe state set or clear mends it") {
		t.Errorf("error %v", err)
	}
}

func (h *HTTP) openFrom(t *testing.T, cursor string) (Reader, error) {
	h.StartFrom(cursor)
	return h.Open(t.Context(), (&stages.Env{}).For("source"), "")
}
