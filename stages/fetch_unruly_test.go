package stages

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// unruly is an API that does what APIs do. What becomes of an item is in its
// number; most of its failures pass.
type unruly struct {
	mu    sync.Mutex
	tries map[int]int
}

func (u *unruly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		w.WriteHeader(400)
		return
	}
	u.mu.Lock()
	u.tries[id]++
	n := u.tries[id]
	u.mu.Unlock()
	answer := fmt.Sprintf(`{"v": %d.5, "text": %q}`, id, strings.Repeat("x", id))
	flush := func() { http.NewResponseController(w).Flush() }
	switch {
	case id%20 == 1 && n < 3: // too many
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(429)
	case id%20 == 2 && n < 4: // down for a moment
		w.WriteHeader(503)
	case id%20 == 3 && n < 3: // reset without an answer
		panic(http.ErrAbortHandler)
	case id%20 == 4 && n < 3: // reset in the middle of one
		io.WriteString(w, answer[:10])
		flush()
		panic(http.ErrAbortHandler)
	case id%20 == 5 && n < 2: // shorter than it says
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, answer)
	case id%20 == 6 && n < 2: // stops in the middle
		io.WriteString(w, answer[:10])
		flush()
		<-r.Context().Done()
	case id%20 == 7: // broken JSON, always
		io.WriteString(w, answer[:len(answer)-1])
	case id%20 == 8: // endless
		for range 200 {
			io.WriteString(w, strings.Repeat("x", 1<<10))
		}
	case id%20 == 9: // round in circles
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	case id%20 == 10: // a slow tail
		select {
		case <-time.After(150 * time.Millisecond):
		case <-r.Context().Done():
		}
		io.WriteString(w, answer)
	case id%20 == 11: // gone
		w.WriteHeader(410)
	case id%20 == 12: // a page of HTML, with 200
		io.WriteString(w, "<html>Please log in</html>")
	case id%20 == 13: // down for good
		w.WriteHeader(500)
	default:
		io.WriteString(w, answer)
	}
}

// TestAnUnrulyAPI: what passes is had in the end, what does not is one row's
// error, and no row is lost or doubled.
func TestAnUnrulyAPI(t *testing.T) {
	url := handle(t, (&unruly{tries: map[int]int{}}).ServeHTTP)
	c := fetchOf(t, "url: "+url+`/{id}
in_flight: 24
on_error: dead_letter
read_timeout: 300ms
max_response: 100kB
retry: {initial: 1ms, max: 5ms}
response: {columns: {v: {type: double}, text: {type: string}}}
`)
	const n = 400
	in := idFrame(0, n)
	got := runFetch(t.Context(), t, c, nil, sliceRows(in, 0, 100), sliceRows(in, 100, 101), sliceRows(in, 101, n))
	if got.err != nil {
		t.Fatal(got.err)
	}
	reasons := map[int]string{7: "the answer is not JSON", 8: "the answer is longer than max_response, 100kB", 9: "more than 10 redirects",
		11: "410 Gone", 12: `the answer is not JSON: JSON, byte 1: '<'`, 13: "500 Internal Server Error after 5 tries"}
	seen := map[int]int{}
	for _, row := range got.rows {
		var id int
		fmt.Sscanf(row, "{id:%d", &id)
		seen[id]++
		if want := fmt.Sprintf("{id:%d v:%d.5 text:%q}", id, id, strings.Repeat("x", id)); row != want {
			t.Errorf("%s, want %s", row, want)
		}
		if reasons[id%20] != "" {
			t.Errorf("row %d was written", id)
		}
	}
	for _, row := range got.rejected {
		var id int
		fmt.Sscanf(row, "{id:%d", &id)
		seen[id]++
		if why := reasons[id%20]; why == "" || !strings.Contains(row, why) {
			t.Errorf("rejected: %s, want %q", row, why)
		}
	}
	if len(seen) != n || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		t.Errorf("%d rows of %d left, %d written, %d rejected", len(seen), n, len(got.rows), len(got.rejected))
	}
	if _, open := got.ledger.Frontier(); open != 0 {
		t.Errorf("%d reads are not settled", open)
	}
}

// TestARowThatDoesNotFitLeavesNothingBehind: not the answers to its other
// requests, nor the elements before the one that does not fit.
func TestARowThatDoesNotFitLeavesNothingBehind(t *testing.T) {
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/first/2", "/first/1", "/first/3":
			fmt.Fprintf(w, `{"a": %s}`, r.URL.Path[len("/first/"):])
		case "/list/2":
			io.WriteString(w, `[{"b": 20}, {"b": 21}, {"b": "x"}]`)
		default:
			fmt.Fprintf(w, `[{"b": %[1]s0}, {"b": %[1]s1}]`, r.URL.Path[len("/list/"):])
		}
	})
	c := fetchOf(t, `
on_error: skip
requests:
  - {name: first, url: "`+url+`/first/{id}", response: {columns: {a: {type: int32}}, status: s}}
  - {name: list, url: "`+url+`/list/{id}", response: {each: ., columns: {b: {type: int32}}}}
`)
	got := runFetch(t.Context(), t, c, nil, idFrame(1, 3))
	want(t, got, `{id:1 a:1 s:200 b:10}`, `{id:1 a:1 s:200 b:11}`, `{id:3 a:3 s:200 b:30}`, `{id:3 a:3 s:200 b:31}`)
	if len(got.rejected) != 1 || !strings.Contains(got.rejected[0], `list: column "b": "x" in the answer (string) does not fit int32`) {
		t.Error(got.rejected)
	}
}
