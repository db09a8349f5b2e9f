package sources

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/stages"
)

const apiRecordCount = 47

// paginated are servers of the same records, in pages of 10, by each kind of
// pagination; settings stand for the rest of the source's.
var paginated = []struct {
	name     string
	settings string
	requests int
	answer   func(a *api, w http.ResponseWriter, r *http.Request)
}{
	{"none", "records: data.items", 1, func(_ *api, w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data": {"items": %s}}`, list(0, apiRecordCount))
	}},
	{"json_link", "records: items, paginate: {type: json_link, next: links.next}", 5, func(a *api, w http.ResponseWriter, r *http.Request) {
		from := intOf(r, "at", 0)
		next := "null"
		if from+10 < apiRecordCount {
			next = fmt.Sprintf(`"/items?at=%d"`, from+10) // relative
			if from == 20 {
				next = fmt.Sprintf(`"%s/items?at=%d"`, a.URL, from+10)
			}
		}
		fmt.Fprintf(w, `{"links": {"next": %s}, "items": %s}`, next, list(from, min(from+10, apiRecordCount)))
	}},
	{"header_link", "paginate: header_link", 5, func(a *api, w http.ResponseWriter, r *http.Request) {
		from := intOf(r, "at", 0)
		w.Header().Add("Link", fmt.Sprintf(`<%s/items?at=0>; rel="first prev"`, a.URL))
		if from+10 < apiRecordCount {
			w.Header().Add("Link", fmt.Sprintf(`<%s/items?at=%d&x=0,1>; title="a, \"b\"; rel=next"; REL=Next`, a.URL, from+10))
		}
		io.WriteString(w, list(from, min(from+10, apiRecordCount)))
	}},
	{"cursor", "records: items, paginate: {type: cursor, cursor_path: meta.after, cursor_param: after}", 5, func(_ *api, w http.ResponseWriter, r *http.Request) {
		from := intOf(r, "after", 0)
		after := strconv.Itoa(from + 10)
		if from+10 >= apiRecordCount {
			after = `""`
		}
		fmt.Fprintf(w, `{"meta": {"after": %s}, "items": %s}`, after, list(from, min(from+10, apiRecordCount)))
	}},
	{"page_number", "paginate: {type: page_number, limit: 10, limit_param: size}", 6, func(_ *api, w http.ResponseWriter, r *http.Request) {
		from := (intOf(r, "page", -1) - 1) * intOf(r, "size", 0)
		io.WriteString(w, list(from, min(from+10, apiRecordCount)))
	}},
	{"page_number total", "records: items, paginate: {type: page_number, start: 0, page_param: p, total_path: pages}", 5, func(_ *api, w http.ResponseWriter, r *http.Request) {
		from := intOf(r, "p", -1) * 10
		fmt.Fprintf(w, `{"pages": 5, "items": %s}`, list(from, min(from+10, apiRecordCount)))
	}},
	{"offset", "paginate: {type: offset, limit: 1000}", 6, func(_ *api, w http.ResponseWriter, r *http.Request) {
		from := intOf(r, "offset", -1) // and never more than 10, whatever is asked for
		io.WriteString(w, list(from, min(from+10, apiRecordCount)))
	}},
	{"offset total", "records: items, paginate: {type: offset, total_path: n}", 5, func(_ *api, w http.ResponseWriter, r *http.Request) {
		from := intOf(r, "offset", -1)
		fmt.Fprintf(w, `{"n": "47", "items": %s}`, list(from, min(from+10, apiRecordCount)))
	}},
	{"has more", "records: items, paginate: {type: page_number, has_more_path: more}", 5, func(_ *api, w http.ResponseWriter, r *http.Request) {
		from := (intOf(r, "page", -1) - 1) * 10
		fmt.Fprintf(w, `{"more": %t, "items": %s}`, from+10 < apiRecordCount, list(from, min(from+10, apiRecordCount)))
	}},
	{"body", "method: POST, body: {query: all}, records: items, paginate: {type: cursor, cursor_path: after, cursor_param: variables.after, in: body}", 5, func(a *api, w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		_, body, _ := strings.Cut(a.asked[len(a.asked)-1], " ")
		a.mu.Unlock()
		from := 0
		if _, after, ok := strings.Cut(body, `"variables":{"after":"`); ok {
			from, _ = strconv.Atoi(after[:strings.IndexByte(after, '"')])
		}
		after := fmt.Sprintf(`"%d"`, from+10)
		if from+10 >= apiRecordCount {
			after = "null"
		}
		fmt.Fprintf(w, `{"after": %s, "items": %s}`, after, list(from, min(from+10, apiRecordCount)))
	}},
}

// Each kind of pagination gives all records once, and goes on after any read
// where another process has stopped.
func TestPagination(t *testing.T) {
	for _, c := range paginated {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, c.answer)
			for _, more := range []string{"infer_rows: 15", "infer_rows: 1000", "schema: {id: int64, name: string}"} {
				source := func() *HTTP {
					return httpOf(t, fmt.Sprintf("http: {url: %s/items, replayable: true, %s, %s}", a.URL, more, c.settings))
				}
				a.took()
				r := openHTTP(t, source(), "")
				if asked := a.took(); len(asked) > 0 {
					t.Fatalf("opening asks for %q", asked)
				}
				want := readAll(t, r)
				if asked := a.took(); len(asked) != c.requests {
					t.Errorf("%s: %d requests, want %d: %q", more, len(asked), c.requests, asked)
				}
				row := 0
				for _, read := range want {
					for i := range int(read.Frame.NumRows()) {
						if got := first(t, read.Frame, i); got != row {
							t.Fatalf("%s: row %d is record %d", more, row, got)
						}
						row++
					}
				}
				if row != apiRecordCount {
					t.Errorf("%s: %d rows", more, row)
				}
				for i, read := range want {
					same(t, "after "+read.Pos, readAll(t, openHTTP(t, source(), read.Pos)), want[i+1:])
				}
			}
		})
	}
}

// A page with more records than a read has, and a position within it.
func TestPageOfManyReads(t *testing.T) {
	a := serve(t, func(_ *api, w http.ResponseWriter, r *http.Request) {
		if intOf(r, "page", 0) > 2 {
			io.WriteString(w, "[]")
			return
		}
		io.WriteString(w, list(0, 25_000))
	})
	source := httpOf(t, "http: {url: "+a.URL+", replayable: true, max_pages: 2, paginate: page_number}")
	want := readAll(t, openHTTP(t, source, ""))
	if len(want) != 6 {
		t.Fatalf("%d reads, want 3 of each page", len(want))
	}
	for i, read := range want {
		same(t, "after "+read.Pos, readAll(t, openHTTP(t, source, read.Pos)), want[i+1:])
	}
}

// Pages that go in a circle would be read for ever.
func TestCircles(t *testing.T) {
	f := func(settings, want string, answer func(a *api, w http.ResponseWriter, r *http.Request)) {
		t.Helper()
		a := serve(t, answer)
		_, err := rowsOf(t, httpOf(t, fmt.Sprintf("http: {url: %s/items, %s}", a.URL, settings)), (&stages.Env{}).For("source"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", settings, err, want)
		}
	}
	f("paginate: json_link, records: r", "/items?at=1: page 4: it was read before: the pages go in a circle", func(_ *api, w http.ResponseWriter, r *http.Request) {
		at := intOf(r, "at", 0)
		fmt.Fprintf(w, `{"next": "?at=%d", "r": [{"id": 1}]}`, []int{1, 2, 1}[at])
	})
	f("paginate: json_link, records: r", "/items: page 2: it was read before", func(_ *api, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"next": "/items", "r": [{"id": 1}]}`)
	})
	f("paginate: {type: cursor, cursor_path: next}, records: r", "page 3: it was read before", func(_ *api, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"next": "x", "r": [{"id": 1}]}`)
	})
	f("paginate: page_number", "page 2: it is the same as the page before: does the server know the parameter page?", func(_ *api, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"id": 1}]`)
	})
}

func TestHeaderLink(t *testing.T) {
	f := func(want string, headers ...string) {
		t.Helper()
		if got := headerLink(headers, "next"); got != want {
			t.Errorf("%q: %q, want %q", headers, got, want)
		}
	}
	f("")
	f("", "")
	f("u", `<u>; rel=next`)
	f("u", `<u>;rel="next"`)
	f("u", `<u>; rel="prev next"`)
	f("u", `<a>; rel=prev, <u>; rel=next`)
	f("u", `<a>; rel=prev`, `<u>; rel=next`)
	f("u", `<a>; title="x, <b>; rel=next"; rel=prev, <u>; anchor; rel = "next"`)
	f("", `<a>; rel=prev; rel=next`) // the second does not count
	f("", `<a; rel=next`)
	f("", `<a>; rel=nextly`)
	f("a", `<a>; rel="next`)
}

func FuzzHeaderLink(f *testing.F) {
	f.Add(`<a>; rel=prev, <u>; rel="next"; title="\"`)
	f.Fuzz(func(t *testing.T, header string) {
		if got := headerLink([]string{header}, "next"); got != "" && !strings.Contains(header, "<") {
			t.Errorf("%q has the link %q", header, got)
		}
	})
}

// A path that leads nowhere would read the first page alone. What it was meant to
// be says whether there is more; where nothing does, it is a warning.
func TestPathsOfPaginationThatLeadNowhere(t *testing.T) {
	f := func(settings, answer, wantErr, wantLog string) {
		t.Helper()
		a := serve(t, func(_ *api, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
		var log strings.Builder
		env := (&stages.Env{Log: slog.New(slog.NewTextHandler(&log, nil))}).For("source")
		_, err := rowsOf(t, httpOf(t, fmt.Sprintf("http: {url: %s, records: r, paginate: %s}", a.URL, settings)), env)
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s of %s: error %v, want %s", settings, answer, err, wantErr)
		}
		if (log.Len() == 0) != (wantLog == "") || !strings.Contains(log.String(), wantLog) {
			t.Errorf("%s of %s: log %s, want %s", settings, answer, log.String(), wantLog)
		}
	}
	f("{type: cursor, cursor_path: meta.nxt}", `{"meta": {"next": "x"}, "r": [{"id": 1}]}`,
		`page 1: paginate: cursor_path, meta.nxt, leads to nothing: there is no "nxt" in meta, did you mean "next"?`, "")
	f("{type: cursor, cursor_path: next, has_more_path: more}", `{"has_more": true, "next": "x", "r": [{"id": 1}]}`,
		`has_more_path, more, leads to nothing: there is no "more" in the answer, did you mean "has_more"?`, "")
	f("{type: cursor, cursor_path: after, has_more_path: more}", `{"more": true, "token": "x", "r": [{"id": 1}]}`,
		`cursor_path, after, leads to nothing: there is no "after" in the answer, which has more, token, r`, "")
	f("json_link", `{"next_page": "/2", "r": [{"id": 1}]}`, `next, next, leads to nothing: there is no "next" in the answer, did you mean "next_page"?`, "")
	f("{type: cursor, cursor_path: after}", `{"token": "x", "r": [{"id": 1}]}`, "", "cursor_path, after, leads to nothing in the first page, which is taken for the last")
	f("json_link", `{"next_page": null, "r": [{"id": 1}]}`, "", "is taken for the last")
	f("json_link", `{"next": null, "r": [{"id": 1}]}`, "", "")
	f("{type: page_number, has_more_path: more}", `{"more": false, "r": [{"id": 1}]}`, "", "")
	f("json_link", `{"r": []}`, "", "")
}
