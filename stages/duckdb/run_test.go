//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

var numbersSchema = numbers(0, 0, 1).Schema()

func prepare(t testing.TB, d *DB, sql string) *Query {
	t.Helper()
	q, err := d.Prepare(t.Context(), sql, map[string]*frame.Schema{"input": numbersSchema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// counted gives frames of 10,000 numbers, and counts the rows it gave.
type counted struct {
	frames, groups int
	given          int
	then           func(ctx context.Context) (frame.Frame, error) // after the frames; nil is io.EOF
}

func (c *counted) input() map[string]Input {
	return map[string]Input{"input": {Next: func(ctx context.Context) (frame.Frame, error) {
		const rows = 10000
		if c.given == c.frames*rows {
			if c.then != nil {
				return c.then(ctx)
			}
			return nil, io.EOF
		}
		f := numbers(c.given, rows, c.groups)
		c.given += rows
		return f, nil
	}}}
}

// A query pulls its input no faster than its result is taken.
func TestBackpressure(t *testing.T) {
	for _, threads := range []int{1, 2} {
		d := open(t, Options{Threads: threads})
		q := prepare(t, d, "SELECT i + 1 AS i, s FROM input WHERE i % 2 = 0")
		in := &counted{frames: 120, groups: 10}
		rows, most := 0, 0
		err := q.Run(t.Context(), in.input(), func(f frame.Frame) error {
			if f.NumRows() > frame.Rows {
				return fmt.Errorf("a frame of %d rows", f.NumRows())
			}
			if threads == 1 { // otherwise another thread fills the buffer just now
				most = max(most, in.given-2*rows)
			}
			for k, v := range f.Column(0).(*array.Int64).Int64Values() {
				if v != int64(2*(rows+k)+1) {
					return fmt.Errorf("row %d is %d", rows+k, v)
				}
			}
			rows += int(f.NumRows())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if rows != 600_000 {
			t.Errorf("%d rows", rows)
		}
		if most > 400_000 {
			t.Errorf("%d rows were read ahead", most)
		}
	}
}

func TestLongGroupBy(t *testing.T) {
	d := open(t, Options{Threads: 2})
	q := prepare(t, d, "SELECT g, count(*) AS n, sum(i) AS total FROM input GROUP BY g ORDER BY g")
	frames := make(chan frame.Frame)
	go func() {
		defer close(frames)
		for i := range 50 {
			frames <- numbers(i*10000, 10000, 1000)
		}
	}()
	group := 0
	err := q.Run(t.Context(), map[string]Input{"input": Stream(frames)}, func(f frame.Frame) error {
		for k := range int(f.NumRows()) {
			want := int64(0)
			for i := group; i < 500_000; i += 1000 {
				want += int64(i)
			}
			if got := f.Column(2).(*array.Int64).Value(k); got != want || f.Column(1).(*array.Int64).Value(k) != 500 {
				return fmt.Errorf("group %d: %v, want %v", group, got, want)
			}
			group++
		}
		return nil
	})
	if err != nil || group != 1000 {
		t.Errorf("%d groups, %v", group, err)
	}
}

// After everything that can go wrong the query can be run again.
func TestEnds(t *testing.T) {
	boom := errors.New("boom")
	const simple = "SELECT i FROM input"
	f := func(name, sql string, run func(t *testing.T, q *Query)) {
		t.Run(name, func(t *testing.T) {
			d := open(t, Options{Memory: 64 << 20})
			q := prepare(t, d, sql)
			run(t, q)
			again := &counted{frames: 1, groups: 10}
			if sql != simple {
				q = prepare(t, d, simple)
			}
			out, err := q.Collect(t.Context(), again.input())
			if err != nil || out.NumRows() != 10000 {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	discard := func(frame.Frame) error { return nil }
	f("the input fails", simple, func(t *testing.T, q *Query) {
		in := &counted{frames: 30, groups: 10, then: func(context.Context) (frame.Frame, error) { return nil, boom }}
		if err := q.Run(t.Context(), in.input(), discard); !errors.Is(err, boom) {
			t.Error(err)
		}
	})
	f("the input panics", simple, func(t *testing.T, q *Query) {
		in := &counted{frames: 3, groups: 10, then: func(context.Context) (frame.Frame, error) { panic("ouch") }}
		if err := q.Run(t.Context(), in.input(), discard); err == nil || !strings.Contains(err.Error(), "panic: ouch") {
			t.Error(err)
		}
	})
	f("the columns change", simple, func(t *testing.T, q *Query) {
		in := &counted{frames: 3, groups: 10, then: func(context.Context) (frame.Frame, error) {
			return frame.Rename(numbers(0, 10, 1), map[string]string{"i": "j"})
		}}
		err := q.Run(t.Context(), in.input(), discard)
		if err == nil || !strings.Contains(err.Error(), `column "i" of input is not what the query was prepared for`) {
			t.Error(err)
		}
	})
	f("the consumer fails", simple, func(t *testing.T, q *Query) {
		in := &counted{frames: 300, groups: 10}
		if err := q.Run(t.Context(), in.input(), func(frame.Frame) error { return boom }); !errors.Is(err, boom) {
			t.Error(err)
		}
	})
	f("the consumer fails while the input is silent", simple, func(t *testing.T, q *Query) {
		in := &counted{frames: 30, groups: 10, then: func(ctx context.Context) (frame.Frame, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}
		if err := q.Run(t.Context(), in.input(), func(frame.Frame) error { return boom }); !errors.Is(err, boom) {
			t.Error(err)
		}
	})
	f("enough rows", "SELECT i FROM input LIMIT 5", func(t *testing.T, q *Query) {
		in := &counted{frames: 300, groups: 10}
		rows := 0
		if err := q.Run(t.Context(), in.input(), func(f frame.Frame) error { rows += int(f.NumRows()); return nil }); err != nil || rows != 5 {
			t.Errorf("%d rows, %v", rows, err)
		}
		if in.given > 400_000 {
			t.Errorf("%d rows were read", in.given)
		}
	})
	f("a value fails in the middle", "SELECT CAST(if(i = 700000, s, '1') AS INTEGER) AS x FROM input", func(t *testing.T, q *Query) {
		in := &counted{frames: 100, groups: 10}
		rows := 0
		err := q.Run(t.Context(), in.input(), func(f frame.Frame) error { rows += int(f.NumRows()); return nil })
		var e *Error
		if !errors.As(err, &e) || !e.RowError() || e.Kind != "Conversion" || rows == 0 {
			t.Errorf("%d rows, %#v", rows, err)
		}
	})
	f("out of memory", "SELECT list(i) AS l FROM (SELECT i + r.range AS i FROM input, range(1000) AS r)", func(t *testing.T, q *Query) {
		in := &counted{frames: 30, groups: 10}
		var e *Error
		if err := q.Run(t.Context(), in.input(), discard); !errors.As(err, &e) || e.Kind != "Out of Memory" || e.RowError() || strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	})
	f("no input", simple, func(t *testing.T, q *Query) {
		if err := q.Run(t.Context(), nil, discard); err == nil || err.Error() != "duckdb: the query reads input, and there is no such input" {
			t.Error(err)
		}
	})
}

func TestCancel(t *testing.T) {
	boom := errors.New("enough")
	f := func(name, sql string, then func(ctx context.Context, cancel func()) (frame.Frame, error)) {
		t.Run(name, func(t *testing.T) {
			for _, threads := range []int{1, 2} {
				d := open(t, Options{Threads: threads})
				q := prepare(t, d, sql)
				ctx, cancel := context.WithCancelCause(t.Context())
				var cancelled time.Time
				in := &counted{frames: 20, groups: 10, then: func(inner context.Context) (frame.Frame, error) {
					return then(inner, func() { cancelled = time.Now(); cancel(boom) })
				}}
				err := q.Run(ctx, in.input(), func(frame.Frame) error { return nil })
				if took := time.Since(cancelled); !errors.Is(err, boom) || took > 2*time.Second {
					t.Errorf("threads %d: %v after %v", threads, err, took)
				}
				cancel(nil)
				if _, err := prepare(t, d, "SELECT i FROM input").Collect(t.Context(), (&counted{frames: 1, groups: 1}).input()); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}
		})
	}
	f("while the input is silent", "SELECT g, count(*) AS n FROM input GROUP BY g", func(ctx context.Context, cancel func()) (frame.Frame, error) {
		cancel()
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	f("while it computes", "SELECT sum(i * r.range) AS x FROM (SELECT max(i) AS i FROM input) AS m, range(100000000) AS r", func(ctx context.Context, cancel func()) (frame.Frame, error) {
		cancel()
		return nil, io.EOF
	})
}

// A query whose state is larger than the memory limit goes on in its temporary
// directory, and fails without one.
func TestSpill(t *testing.T) {
	run := func(temp string) (rows int64, err error) {
		d := open(t, Options{Memory: 20 << 20, Temp: temp})
		q := prepare(t, d, "SELECT i, s, count(*) AS n FROM input GROUP BY i, s ORDER BY i")
		in := &counted{frames: 40, groups: 10}
		err = q.Run(t.Context(), in.input(), func(f frame.Frame) error {
			if got := f.Column(0).(*array.Int64).Value(0); got != rows {
				return fmt.Errorf("row %d is %d", rows, got)
			}
			rows += f.NumRows()
			return nil
		})
		return rows, err
	}
	if rows, err := run(t.TempDir() + "/spill"); err != nil || rows != 400_000 {
		t.Errorf("%d rows, %v", rows, err)
	}
	var e *Error
	if _, err := run(""); !errors.As(err, &e) || e.Kind != "Out of Memory" {
		t.Errorf("without a directory: %v", err)
	}
}

func TestEightAtOnce(t *testing.T) {
	d := open(t, Options{Threads: 2})
	q := prepare(t, d, "SELECT g, count(*) AS n FROM input GROUP BY g")
	x, err := d.Condition(t.Context(), numbersSchema, "i % 3 = 0 AND g <> 3")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				out, err := q.Collect(t.Context(), (&counted{frames: 5, groups: 100}).input())
				if err != nil || out.NumRows() != 100 {
					t.Errorf("%v", err)
					return
				}
				kept := 0
				f := numbers(0, 9000, 10)
				out, err = x.Eval(t.Context(), f)
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 9000 {
					if out.Column(0).(*array.Boolean).Value(i) {
						kept++
					}
				}
				if kept != 2700 { // of 3000 multiples of 3, a tenth ends in 3
					t.Errorf("%d kept", kept)
				}
			}
		})
	}
	wg.Wait()
}

func TestClosed(t *testing.T) {
	d, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := d.Prepare(t.Context(), "SELECT 1 AS one", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := q.Collect(t.Context(), nil); err == nil {
		t.Error("a query of a closed database runs")
	}
	if _, err := d.Prepare(t.Context(), "SELECT 1", nil); err == nil {
		t.Error("a closed database prepares")
	}
}

// A query reaches neither files nor the network, and cannot change that.
func TestLockedDown(t *testing.T) {
	d := open(t, Options{})
	f := func(sql, want string) {
		t.Helper()
		q, err := d.Prepare(t.Context(), sql, nil)
		if err == nil {
			_, err = q.Collect(t.Context(), nil)
			q.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	f("SELECT * FROM read_csv('/etc/passwd')", "disabled by configuration")
	f("SELECT * FROM '/etc/passwd.parquet'", "disabled by configuration")
	f("SELECT * FROM glob('/etc/*')", "disabled by configuration")
	f("SELECT * FROM read_csv('https://example.com/x.csv')", "")
	f("SET enable_external_access = true", "syntax error")
	f("COPY (SELECT 1) TO '/tmp/x.csv'", "syntax error")
	f("INSTALL httpfs", "syntax error")
	f("SELECT 1; SELECT 2", "syntax error")
	f("SELECT 1) AS x; SELECT (2", "")
	f("SELECT * FROM rpipe_scan(1)", "")
	f("SELECT * FROM rpipe_scan(123456789)", "")
}
