package crashtest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, "-tags", "failpoint") }

// api answers with id*10 after 1 to 100 ms.
func api(t *testing.T) (url string, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		latency := time.Millisecond
		for range 2 {
			if rand.IntN(10) == 0 {
				latency *= 10
			}
		}
		select {
		case <-time.After(latency):
		case <-r.Context().Done():
			return
		}
		id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/item/"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"value": %d}`, 10*id)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// checkRows holds that each id is in the output or in the dead letter, once.
func (c *trial) checkRows(t *testing.T) {
	t.Helper()
	seen := make([]int, rows)
	wrong := 0
	c.read(c.out, func(f frame.Frame) {
		ids, score := column[*array.Int64](t, f, "id"), column[*array.Float64](t, f, "score")
		for i := range int(f.NumRows()) {
			id := ids.Value(i)
			seen[id]++
			if score.Value(i) != float64(id*20+1) || bad(id) {
				wrong++
			}
		}
	})
	c.read(c.dead, func(f frame.Frame) {
		ids := column[*array.Int64](t, f, "id")
		for i := range int(f.NumRows()) {
			seen[ids.Value(i)]++
			if !bad(ids.Value(i)) {
				wrong++
			}
		}
	})
	lost, twice := 0, 0
	for _, n := range seen {
		switch {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	if lost+twice+wrong > 0 {
		t.Errorf("of %d rows %d are lost, %d are there more than once, %d are wrong", rows, lost, twice, wrong)
	}
}

func column[A any](t *testing.T, f frame.Frame, name string) A {
	t.Helper()
	a, _, ok := frame.Lookup(f, name)
	col, is := a.(A)
	if !ok || !is {
		t.Fatalf("column %s is %T", name, a)
	}
	return col
}

// checkNothingLeft holds that no temporary file, lock or record is left.
func (c *trial) checkNothingLeft(t *testing.T) {
	t.Helper()
	if c.atEnd {
		return // its lock files are there until the next run
	}
	err := filepath.WalkDir(c.dir, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(c.dir, path)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(rel, "state") || strings.HasPrefix(e.Name(), "rpipe-run-"):
			t.Errorf("left behind: %s", rel)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if c.s3 == nil {
		return
	}
	for _, place := range []string{c.out, c.dead, c.state} {
		for o, err := range c.s3.List(t.Context(), location(t, place)) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(o.Key, "/.") || place == c.state {
				t.Errorf("left behind: %s", o.Location)
			}
		}
	}
}

// checkSums holds that the aggregate is that of all rows but the bad ones.
func (c *trial) checkSums(t *testing.T) {
	t.Helper()
	var n, ids int64
	var total float64
	groups := 0
	c.read(c.out, func(f frame.Frame) {
		counts, sums := column[*array.Int64](t, f, "n"), column[*array.Float64](t, f, "total")
		for i := range int(f.NumRows()) {
			groups++
			n += counts.Value(i)
			total += sums.Value(i)
		}
	})
	var wantN int64
	var want float64
	for id := range int64(rows) {
		if !bad(id) {
			wantN++
			ids += id
			want += float64(id*20 + 1)
		}
	}
	if n != wantN || total != want || groups != parts {
		t.Errorf("%d groups of %d rows with total %v; want %d, %d, %v", groups, n, total, parts, wantN, want)
	}
}
