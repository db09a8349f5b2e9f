package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/webapi"
)

// ids are the first column of all reads, and the cursor at the end.
func ids(t *testing.T, h *HTTP, from string) (got []int, cursor string) {
	t.Helper()
	r := openHTTP(t, h, from)
	for _, read := range readAll(t, r) {
		for i := range int(read.Frame.NumRows()) {
			got = append(got, first(t, read.Frame, i))
		}
	}
	return got, r.(Cursor).Cursor()
}

// The second run asks from where the first ended, and what comes again is left
// out as far as the settings can tell.
func TestIncremental(t *testing.T) {
	type record struct {
		ID int    `json:"id"`
		At string `json:"at"`
	}
	var records []record
	a := serve(t, func(_ *api, w http.ResponseWriter, _ *http.Request) { // one that ignores since
		json.NewEncoder(w).Encode(records)
	})
	f := func(settings, url string, runs ...string) {
		t.Helper()
		records = []record{{1, "2026-01-01T00:00:00Z"}, {2, "2026-01-02T00:00:00Z"}, {3, "2026-01-02T00:00:00.5Z"}, {4, "2026-01-02T00:00:00.5Z"}}
		saved := ""
		for i, want := range runs {
			source := httpOf(t, fmt.Sprintf("http: {url: '%s/i%s', schema: {id: int64, at: string}, incremental: {cursor: at, param: since, %s}}", a.URL, url, settings))
			source.StartFrom(saved)
			got, cursor := ids(t, source, "")
			saved = cursor
			asked := a.took()
			if got := fmt.Sprint(asked, got); got != want {
				t.Errorf("%s: run %d: %s, want %s", settings, i+1, got, want)
			}
			if i == 0 {
				records = append(records, record{5, "2026-01-02T00:00:00.5Z"}, record{6, "2026-01-03T00:00:00Z"})
			}
		}
		if want := "2026-01-03T00:00:00Z"; !strings.Contains(saved, want) {
			t.Errorf("%s: the cursor is %s, want %s", settings, saved, want)
		}
	}
	f("initial: 2026-01-02", "", "[/i?since=2026-01-02] [2 3 4]", "[/i?since=2026-01-02T00%3A00%3A00.5Z] [3 4 5 6]", "[/i?since=2026-01-03T00%3A00%3A00Z] [6]")
	f("start: exclusive", "", "[/i] [1 2 3 4]", "[/i?since=2026-01-02T00%3A00%3A00.5Z] [6]", "[/i?since=2026-01-03T00%3A00%3A00Z] []")
	f("unique_key: id", "", "[/i] [1 2 3 4]", "[/i?since=2026-01-02T00%3A00%3A00.5Z] [5 6]", "[/i?since=2026-01-03T00%3A00%3A00Z] []")
	f("lag: 1h", "", "[/i] [1 2 3 4]", "[/i?since=2026-01-01T23%3A00%3A00.5Z] [2 3 4 5 6]", "[/i?since=2026-01-02T23%3A00%3A00Z] [6]")
	f("lag: 36h, unique_key: [id], initial: 2026-01-01T12:00:00Z", "", "[/i?since=2026-01-01T12%3A00%3A00Z] [2 3 4]", "[/i?since=2026-01-01T12%3A00%3A00Z] [5 6]", "[/i?since=2026-01-01T12%3A00%3A00Z] []")
	// {cursor} stands where a parameter would.
	f("initial: 2026-01-02", "/{cursor}", "[/i/2026-01-02?since=2026-01-02] [2 3 4]", "[/i/2026-01-02T00%3A00%3A00.5Z?since=2026-01-02T00%3A00%3A00.5Z] [3 4 5 6]")
}

// A resumed run asks from the cursor of the run, not from what it has read since.
func TestIncrementalResume(t *testing.T) {
	a := serve(t, func(_ *api, w http.ResponseWriter, r *http.Request) {
		since, from := intOf(r, "since", 0), intOf(r, "offset", 0)
		io.WriteString(w, list(since+from, min(since+from+10, 35)))
	})
	source := func() *HTTP {
		return httpOf(t, "http: {url: "+a.URL+", replayable: true, infer_rows: 1, paginate: offset, incremental: {cursor: id, param: since, start: exclusive}}")
	}
	first := source()
	first.StartFrom("4")
	r := openHTTP(t, first, "")
	want := readAll(t, r)
	if cursor := r.(Cursor).Cursor(); cursor != "34" {
		t.Errorf("the cursor is %s, want 34", cursor)
	}
	for i, read := range want {
		r := openHTTP(t, source(), read.Pos)
		same(t, "after "+read.Pos, readAll(t, r), want[i+1:])
		if cursor := r.(Cursor).Cursor(); cursor != "34" {
			t.Errorf("after %s the cursor is %s, want 34", read.Pos, cursor)
		}
	}
}

// The cursor may be saved once all pages were read: an API that gives the newest
// first has older records to come. Where they come in order it is that of what
// was handed out, not of what was read ahead.
func TestCursorOfWhatWasTaken(t *testing.T) {
	a := serve(t, func(_ *api, w http.ResponseWriter, r *http.Request) {
		from := intOf(r, "offset", 0)
		io.WriteString(w, list(from, min(from+10, 35)))
	})
	f := func(settings, from string, want ...string) (pos []string) {
		t.Helper()
		r := openHTTP(t, httpOf(t, "http: {url: "+a.URL+", infer_rows: 1, replayable: true, paginate: {type: offset"+settings), from)
		for i, cursor := range want {
			if got := r.(Cursor).Cursor(); got != cursor {
				t.Errorf("%s: after %d reads the cursor is %q, want %q", settings, i, got, cursor)
			}
			read, err := r.Next(t.Context())
			if err == nil {
				pos = append(pos, read.Pos)
			} else if err != io.EOF || i < len(want)-1 {
				t.Fatal(err)
			}
		}
		return pos
	}
	f("}, incremental: {cursor: id, param: since, ordered: true}}", "", "", "9", "19", "29", "34", "34")
	const unordered = "}, incremental: {cursor: id, param: since}}"
	pos := f(unordered, "", "", "", "", "", "", "34")
	f(unordered, pos[1], "", "", "", "34")
	f(unordered, pos[3], "", "34")
	f(unordered, pos[4], "34")
}

// Newest first, and the last page has nothing new: the cursor moves all the same.
func TestCursorAfterOldRecords(t *testing.T) {
	a := serve(t, func(_ *api, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, []string{list(20, 30), list(0, 10), "[]"}[intOf(r, "page", 1)-1])
	})
	source := httpOf(t, "http: {url: "+a.URL+", paginate: page_number, incremental: {cursor: id, param: since, start: exclusive}}")
	source.StartFrom("24")
	got, cursor := ids(t, source, "")
	if want := []int{25, 26, 27, 28, 29}; !slices.Equal(got, want) || cursor != "29" {
		t.Errorf("rows %v and the cursor %s, want %v and 29", got, cursor, want)
	}
}

func TestRecordWithoutCursor(t *testing.T) {
	a := serve(t, func(_ *api, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"id":1,"at":5},{"id":2,"at":null},{"id":3}]`)
	})
	rows, rejected := readRejects(t, httpOf(t, "http: {url: "+a.URL+", on_error: skip, incremental: {cursor: at, param: since}}"), (&stages.Env{}).For("source"))
	if rows != 1 || len(rejected) != 2 || !strings.Contains(rejected[0].Err.Error(), `record 2: it has no "at", which incremental needs`) {
		t.Errorf("%d rows, rejected %v", rows, told(rejected))
	}
}

func TestCompareCursors(t *testing.T) {
	f := func(less, more string) {
		t.Helper()
		if compareCursors(less, more) >= 0 || compareCursors(more, less) <= 0 || compareCursors(less, less) != 0 {
			t.Errorf("%s is not less than %s", less, more)
		}
	}
	f("9", "10")
	f("-1", "0.5")
	f("9007199254740992", "9007199254740993")
	f("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z")
	f("2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00Z")
	f("2026-01-01", "2026-01-01T00:00:01Z")
	f("2026-01-01 00:00:00", "2026-01-01 00:00:01")
	f("2026-01-01T00:00:00.000+0000", "2026-01-01T00:00:00.001+0000")
	f("a10", "a9") // texts
	f("2026-W01", "2026-W02")
}

// What unique_key remembers is bounded, the newest first.
func TestSeenIsBounded(t *testing.T) {
	s, err := newCursors(&Since{Cursor: "at", UniqueKey: []string{"id"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	record := func(i int) []byte {
		return fmt.Appendf(nil, `{"id":%d,"at":"2026-01-01T00:00:%02dZ"}`, i, i*60/(3*maxSeen))
	}
	s.config.Lag = configs.Duration(time.Hour)
	for i := range 3 * maxSeen {
		if isNew, err := s.take(record(i)); !isNew || err != nil {
			t.Fatalf("record %d: %t, %v", i, isNew, err)
		}
	}
	if len(s.seen) > maxSeen || !s.full {
		t.Errorf("%d are remembered", len(s.seen))
	}
	if isNew, _ := s.take(record(3*maxSeen - 1)); isNew {
		t.Error("the last record is forgotten")
	}
	if isNew, err := s.take([]byte(`{"id":1,"at":"2026-01-03"}`)); !isNew || err != nil {
		t.Error(err)
	}
	again, err := newCursors(&Since{Cursor: "at", UniqueKey: []string{"id"}}, s.String())
	if err != nil || len(again.seen) != 1 || again.from != "2026-01-03" {
		t.Errorf("%d are saved, from %s on: %v", len(again.seen), again.from, err)
	}
}

// growing is an API of which each round finds more.
type growing struct {
	asked []string
	times []time.Time
}

func (g *growing) Do(_ context.Context, r *webapi.Request) (*webapi.Response, error) {
	_, query, _ := strings.Cut(r.URL, "?")
	g.asked, g.times = append(g.asked, query), append(g.times, time.Now())
	var from int
	fmt.Sscanf(query, "since=%d", &from)
	body := list(from, from+3) // the first is the last of before
	if len(g.asked) == 2 {
		body = "[]"
	}
	return &webapi.Response{Status: 200, Body: []byte(body), URL: r.URL}, nil
}

// A source that polls asks again from its cursor, until it is told to stop.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := httpOf(t, "http: {url: 'http://x/y', poll: 30s, incremental: {cursor: id, param: since, initial: '0', start: exclusive}}")
		if !h.Endless() || !h.Incremental() {
			t.Error("it has an end, or no cursor")
		}
		api := &growing{}
		r := &httpReader{config: h, env: &stages.Env{}, ctx: context.WithoutCancel(t.Context()), client: api, release: func() {}}
		if err := h.open(r, ""); err != nil {
			t.Fatal(err)
		}
		var got []int
		var last *Read
		for range 3 {
			read, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range int(read.Frame.NumRows()) {
				got = append(got, first(t, read.Frame, i))
			}
			last = read
		}
		if want := []int{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
			t.Errorf("rows %v, want %v", got, want)
		}
		if want := []string{"since=0", "since=2", "since=2", "since=4"}; !slices.Equal(api.asked[:4], want) {
			t.Errorf("asked %q, want %q", api.asked, want)
		}
		for i := 1; i < 4; i++ {
			if d := api.times[i].Sub(api.times[i-1]); d != 30*time.Second {
				t.Errorf("round %d came after %v", i+1, d)
			}
		}
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Next(stopped); err == nil {
			t.Error("it goes on")
		}
		if r.Cursor() != "6" {
			t.Errorf("the cursor is %s", r.Cursor())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}

		// Another process goes on with the next round.
		api = &growing{}
		again := &httpReader{config: h, env: &stages.Env{}, ctx: context.WithoutCancel(t.Context()), client: api, release: func() {}}
		if err := h.open(again, last.Pos); err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if read, err := again.Next(t.Context()); err != nil || first(t, read.Frame, 0) != 7 || api.asked[0] != "since=6" {
			t.Errorf("asked %q: %v", api.asked, err)
		}
	})
}

// A person's cursor is of the kind of those that it is compared with.
func TestCursorsOfAPerson(t *testing.T) {
	f := func(settings, cursor, saved, want string) {
		t.Helper()
		h := httpOf(t, "http: {url: https://x/, incremental: {cursor: at, param: since"+settings+"}}")
		err := h.CheckCursor(cursor, saved)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q with %q saved: %v, want %s", cursor, saved, err, want)
		}
	}
	f("", "whatever", "", "")
	f("", "2026-11-01", "2026-10-01T00:00:00Z", "")
	f("", "garbage", "2026-10-01T00:00:00Z", `the cursor "garbage" is a text, and the cursor on record is a time`)
	f("", "2026-11-01", "17", "the cursor on record is a number, 17")
	f("", "18.5", "17", "")
	f("", "garbage", "b7", "")
	f(", initial: '2026-01-01'", "17", "", `the cursor "17" is a number, and incremental.initial is a time, 2026-01-01`)
	f(", unique_key: id", `{"cursor":"x","seen":{}}`, `{"cursor":"2026-10-01","seen":{}}`, `the cursor "x" is a text`)
	f(", unique_key: id", `{"cursor":`, "", "is damaged")
	f(", lag: 1h", "17", "", "only times have a lag")
}
