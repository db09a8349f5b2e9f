//go:build unix

package stages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
)

// functions are what the maps of these tests call.
const functions = `
twice <- function(d) { d$y <- d$x * 2; d }
draw <- function(d) { d$y <- runif(nrow(d)) + rnorm(nrow(d)); d }
draw_once_killed <- function(d) {
  if (d$x[1] == 20 && !file.exists("killed")) {
    file.create("killed")
    tools::pskill(Sys.getpid(), tools::SIGKILL)
    Sys.sleep(10)
  }
  draw(d)
}
odd <- function(d) { if (any(d$x %% 7 == 3)) stop("no ", paste(d$x[d$x %% 7 == 3], collapse = " ")); d }
draw_but_3 <- function(d) { if (3 %in% d$x) stop("three"); draw(d) }
text_or_na <- function(d) { if (3 %in% d$x) stop("three"); d$y <- ifelse(d$x < 8, NA, "a"); d }
late_type <- function(d) { d$y <- if (d$x[1] < 20) NA else d$x / 4; d }
whole_then_not <- function(d) { d$y <- if (d$x[1] < 20) 1L else 0.5; d }
add <- function(d, by, sign = 1, note = NULL) { d$y <- d$x + sign * by; d$note <- note; d }
flaky <- function(d) { if (!file.exists("tried")) { file.create("tried"); stop("first") }; d }
`

// rpoolOf is a pool of n workers that have functions.
func rpoolOf(t testing.TB, n int) (*rpool.Pool, *rpool.Environment) {
	t.Helper()
	p, err := rpool.New(rpool.Options{Max: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, &rpool.Environment{Setup: functions, Dir: t.TempDir()}
}

// mapped runs the numbers [0, rows) through a map in batches of per, and returns
// the frames in the order in which they came out.
func mapped(t testing.TB, p *rpool.Pool, env *rpool.Environment, c Map, rows, per int, reject func(*Rejected)) ([]frame.Frame, *Ledger, error) {
	t.Helper()
	if c.Int64 == "" {
		c.Int64 = "double"
	}
	root := (&Env{Pool: p, R: env, Parallel: 2, Log: slog.New(slog.DiscardHandler)}).For("map")
	var mu sync.Mutex
	root.Reject = func(_ context.Context, r *Rejected) error {
		mu.Lock()
		defer mu.Unlock()
		reject(r)
		r.Batch.Settle(nil)
		return nil
	}
	stage, err := c.Build(root)
	if err != nil {
		t.Fatal(err)
	}
	ledger := NewLedger(0, 0)
	var sizes []int
	for at := 0; at < rows; at += per {
		sizes = append(sizes, min(per, rows-at))
	}
	run := NewRun(t.Context())
	edge := Then(run, "map", 2, From(run, "source", 2, reads(ledger, sizes, nil, nil)), stage)
	var got []frame.Frame
	To(run, "sink", edge, func(ctx context.Context, in <-chan *Rows) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			got = append(got, b.Value)
			b.Settle(nil)
		}
	})
	return got, ledger, run.Wait()
}

func whole(t testing.TB, fs []frame.Frame) frame.Frame {
	t.Helper()
	f, err := frame.Concat(fs...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMapKeepsOrderTypesAndAccounts(t *testing.T) {
	p, env := rpoolOf(t, 2)
	got, ledger, err := mapped(t, p, env, Map{Fun: "twice", Rows: "same", Ordered: true}, 1000, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := whole(t, got)
	x, isInt := f.Column(0).(*array.Int64) // R saw doubles; the column is int64 again
	if !isInt || f.NumRows() != 1000 || len(got) != 100 {
		t.Fatalf("%d rows in %d batches, x is %v", f.NumRows(), len(got), f.Column(0).DataType())
	}
	for i := range 1000 {
		if x.Value(i) != int64(i) || f.Column(1).(*array.Float64).Value(i) != float64(2*i) {
			t.Fatalf("row %d: %v %v", i, x.Value(i), f.Column(1).ValueStr(i))
		}
	}
	if front, open := ledger.Frontier(); front != "1000" || open != 0 {
		t.Errorf("frontier %s, %d open", front, open)
	}
}

// Random numbers do not depend on how many workers there are, on a retry, or on
// a restart.
func TestASeedMakesEqualOutput(t *testing.T) {
	seed := int64(42)
	run := func(workers int, fun string) frame.Frame {
		p, env := rpoolOf(t, workers)
		got, _, err := mapped(t, p, env, Map{Fun: fun, Rows: "same", Ordered: true, Seed: &seed, OnError: OnError{MaxAttempts: 3}}, 200, 10, nil)
		if err != nil {
			t.Fatal(err)
		}
		return whole(t, got)
	}
	want := run(1, "draw")
	f := func(name string, got frame.Frame) {
		t.Helper()
		if !frame.Equal(got, want) {
			t.Errorf("%s: other numbers", name)
		}
	}
	f("restarted", run(1, "draw"))
	f("two workers", run(2, "draw"))
	f("five workers", run(5, "draw"))
	f("a worker killed", run(2, "draw_once_killed"))
	if y := want.Column(1).(*array.Float64); y.Value(0) == y.Value(10) {
		t.Error("two batches drew the same numbers")
	}
}

func TestBadRowsAreFoundByHalving(t *testing.T) {
	p, env := rpoolOf(t, 2)
	var bad []int64
	got, ledger, err := mapped(t, p, env, Map{
		Fun: "odd", Rows: "same", Ordered: true,
		OnError: OnError{OnError: "dead_letter", MaxHalvings: 16, MaxAttempts: 1},
	}, 40, 20, func(r *Rejected) {
		if r.Frame.NumRows() != 1 || r.Whole || r.Drop || r.Attempt != 1 || len(r.Traceback) == 0 {
			t.Errorf("%d rows, whole %v, attempt %d, traceback %q", r.Frame.NumRows(), r.Whole, r.Attempt, r.Traceback)
		}
		x := r.Frame.Column(0).(*array.Int64).Value(0)
		if r.First != x || !strings.Contains(r.Err.Error(), fmt.Sprint("no ", x)) {
			t.Errorf("row %d: First %d, %v", x, r.First, r.Err)
		}
		bad = append(bad, x)
	})
	if err != nil {
		t.Fatal(err)
	}
	good := whole(t, got).Column(0).(*array.Int64).Int64Values()
	if len(bad) != 6 || len(good) != 34 {
		t.Errorf("bad %v, good %v", bad, good)
	}
	for i := 1; i < len(good); i++ {
		if good[i-1] >= good[i] {
			t.Errorf("order: %v", good)
		}
	}
	if front, open := ledger.Frontier(); front != "40" || open != 0 {
		t.Errorf("frontier %s, %d open", front, open)
	}
}

// The parts of a batch that was taken apart draw numbers of their own.
func TestPartsOfABatchDrawDifferentNumbers(t *testing.T) {
	p, env := rpoolOf(t, 1)
	seed := int64(1)
	draw := func() frame.Frame {
		got, _, err := mapped(t, p, env, Map{
			Fun: "draw_but_3", Rows: "same", Ordered: true, Seed: &seed,
			OnError: OnError{OnError: "skip", MaxHalvings: 16, MaxAttempts: 1},
		}, 12, 12, func(*Rejected) {})
		if err != nil {
			t.Fatal(err)
		}
		return whole(t, got)
	}
	f := draw()
	seen := map[float64]bool{}
	for _, y := range f.Column(1).(*array.Float64).Float64Values() {
		if seen[y] {
			t.Errorf("%v was drawn twice", y)
		}
		seen[y] = true
	}
	if len(seen) != 11 || !frame.Equal(f, draw()) {
		t.Errorf("%d numbers, equal again: %v", len(seen), frame.Equal(f, draw()))
	}
}

func TestWhatHalvingCannotFindGoesWhole(t *testing.T) {
	p, env := rpoolOf(t, 1)
	rows := int64(0)
	got, _, err := mapped(t, p, env, Map{
		Fun: "odd", Rows: "same", Ordered: true,
		OnError: OnError{OnError: "skip", MaxHalvings: 2, MaxAttempts: 1},
	}, 28, 28, func(r *Rejected) {
		if !r.Whole || !r.Drop {
			t.Errorf("whole %v, drop %v", r.Whole, r.Drop)
		}
		rows += r.Frame.NumRows()
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := int64(0)
	for _, f := range got {
		kept += f.NumRows()
	}
	if kept+rows != 28 || rows == 0 {
		t.Errorf("%d kept, %d rejected", kept, rows)
	}
}

func TestRowsThatDependOnEachOtherAreNotHalved(t *testing.T) {
	p, env := rpoolOf(t, 1)
	calls := 0
	_, _, err := mapped(t, p, env, Map{Fun: "odd", Rows: "any", Ordered: true, OnError: OnError{OnError: "skip", MaxHalvings: 16}}, 10, 10, func(r *Rejected) {
		calls++
		if r.Frame.NumRows() != 10 || !r.Whole {
			t.Errorf("%d rows, whole %v", r.Frame.NumRows(), r.Whole)
		}
	})
	if err != nil || calls != 1 {
		t.Errorf("%v, rejected %d times", err, calls)
	}
}

func TestRetryTriesFailedCodeAgain(t *testing.T) {
	p, env := rpoolOf(t, 1)
	got, _, err := mapped(t, p, env, Map{Fun: "flaky", Ordered: true, OnError: OnError{OnError: "retry", MaxAttempts: 2}}, 10, 10, nil)
	if err != nil || whole(t, got).NumRows() != 10 {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(env.Dir, "tried")); err != nil {
		t.Fatal(err)
	}
	_, _, err = mapped(t, p, env, Map{Fun: "flaky", Ordered: true, OnError: OnError{OnError: "stop", MaxAttempts: 2}}, 10, 10, nil)
	var condition *rpool.ConditionError
	if !errors.As(err, &condition) || condition.Message != "first" {
		t.Errorf("stop: %v", err)
	}
}

func TestBatchesAgreeOnASchema(t *testing.T) {
	p, env := rpoolOf(t, 2)
	got, _, err := mapped(t, p, env, Map{Fun: "late_type", Rows: "same", Ordered: true}, 40, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := whole(t, got)
	y, ok := f.Column(1).(*array.Float64)
	if !ok || !y.IsNull(0) || !y.IsNull(19) || y.Value(20) != 5 {
		t.Errorf("y is %v", f.Column(1))
	}

	_, _, err = mapped(t, p, env, Map{Fun: "whole_then_not", Rows: "same", Ordered: true}, 40, 10, nil)
	if err == nil || !strings.Contains(err.Error(), "batch 3:") || !strings.Contains(err.Error(), "in batch 1;") || !strings.Contains(err.Error(), "returns") {
		t.Errorf("a type that changes: %v", err)
	}

	returns := configs.Pairs{{Name: "x", Value: "int64"}, {Name: "y", Value: "double"}}
	got, _, err = mapped(t, p, env, Map{Fun: "whole_then_not", Rows: "same", Ordered: true, Returns: returns}, 40, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := whole(t, got); f.Column(1).DataType().ID() != arrow.FLOAT64 {
		t.Errorf("declared double, got %v", f.Column(1).DataType())
	}
}

func TestArgumentsReachTheFunction(t *testing.T) {
	p, env := rpoolOf(t, 1)
	args := configs.Pairs{{Name: "by", Value: "0.5"}, {Name: "sign", Value: "-1L"}, {Name: "note", Value: "5", Quoted: true}}
	got, _, err := mapped(t, p, env, Map{Fun: "add", Ordered: true, Args: args}, 3, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := whole(t, got)
	if y := f.Column(1).(*array.Float64).Value(2); y != 1.5 {
		t.Errorf("y = %v", y)
	}
	if note := f.Column(2).ValueStr(0); note != "5" || f.Column(2).DataType().ID() != arrow.STRING {
		t.Errorf("note = %s, %v", note, f.Column(2).DataType())
	}
}

func TestAValueThatRCannotHoldIsThatRowsError(t *testing.T) {
	p, env := rpoolOf(t, 1)
	root := (&Env{Pool: p, R: env, Parallel: 1, Log: slog.New(slog.DiscardHandler)}).For("map")
	var bad []*Rejected
	root.Reject = func(_ context.Context, r *Rejected) error { bad = append(bad, r); return nil }
	c := Map{Fun: "twice", Rows: "same", Ordered: true, Int64: "double", OnError: OnError{OnError: "skip", MaxHalvings: 16, MaxAttempts: 1}}
	stage, err := c.Build(root)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewInt64Builder(frame.Allocator)
	b.AppendValues([]int64{1, 2, math.MaxInt64, 4}, nil)
	f := array.NewRecordBatch(numbers, []arrow.Array{b.NewArray()}, 4)
	run := NewRun(t.Context())
	src := From(run, "source", 1, func(_, hard context.Context, out chan<- *Rows) error {
		return Send(hard, out, &Rows{Value: f, Rows: 4})
	})
	var rows int64
	To(run, "sink", Then(run, "map", 1, src, stage), func(ctx context.Context, in <-chan *Rows) error {
		for b := range in {
			rows += b.Value.NumRows()
		}
		return nil
	})
	if err := run.Wait(); err != nil {
		t.Fatal(err)
	}
	if rows != 3 || len(bad) != 1 || bad[0].First != 2 || !strings.Contains(bad[0].Err.Error(), "2^53") {
		t.Errorf("%d rows, rejected %+v", rows, bad)
	}
}

// A pipeline's frames and a front's requests share one Pool stage and one pool.
func TestBothGraphsUseOnePool(t *testing.T) {
	p, env := rpoolOf(t, 2)

	// The front: its source is whoever asks, its sink answers them.
	type exchange struct {
		x      float64
		answer chan float64
	}
	const asked = 50
	front := NewRun(t.Context())
	requests := From(front, "listener", 1, func(_, hard context.Context, out chan<- *Batch[*Work[*exchange]]) error {
		for i := range asked {
			call := &rdata.List{Values: []rdata.Value{
				rdata.NewCharacter([]string{"sqrt"}),
				&rdata.List{Values: []rdata.Value{&rdata.Double{Values: []float64{float64(i)}}}},
			}}
			data, err := rdata.AppendItem(nil, call)
			if err != nil {
				return err
			}
			w := &Work[*exchange]{
				For: &exchange{x: float64(i), answer: make(chan float64, 1)}, Rows: 1,
				Request: &rpool.Request{Kind: rpool.Call, Data: data},
			}
			if err := Send(hard, out, &Batch[*Work[*exchange]]{Value: w, Rows: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	replies := Then(front, "R", 1, requests, Pool[*exchange](p, PoolOptions{Env: env, Priority: rpool.Interactive, InFlight: 2}))
	answered := 0
	To(front, "response", replies, func(ctx context.Context, in <-chan *Batch[*Done[*exchange]]) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			if err := b.Value.Parts[0].Err; err != nil {
				return err
			}
			v, err := rdata.UnmarshalItem(b.Value.Parts[0].Reply.Data, nil)
			if err != nil {
				return err
			}
			if got := v.(*rdata.Double).Values[0]; math.Abs(got*got-b.Value.For.x) > 1e-9 {
				return fmt.Errorf("sqrt(%v) = %v", b.Value.For.x, got)
			}
			answered++
		}
	})
	got, _, err := mapped(t, p, env, Map{Fun: "twice", Rows: "same", Ordered: true}, 500, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := front.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := whole(t, got).NumRows(); n != 500 || answered != asked {
		t.Errorf("%d rows, %d answers", n, answered)
	}
	if s := p.Stats(); s.Total.Started > 2 {
		t.Errorf("%d workers for a pool of 2", s.Total.Started)
	}
}

// The rows that are left of a batch may have nothing but NA in a column, which
// says nothing of its type.
func TestMapJoinsPartsOfABatchThatHaveNothingButNA(t *testing.T) {
	p, env := rpoolOf(t, 1)
	c := Map{Fun: "text_or_na", Rows: "same", Ordered: true, OnError: OnError{OnError: "skip", MaxHalvings: 16}}
	got, _, err := mapped(t, p, env, c, 16, 16, func(*Rejected) {})
	if err != nil {
		t.Fatal(err)
	}
	if f := whole(t, got); f.NumRows() != 15 || f.Column(1).DataType().ID() != arrow.STRING {
		t.Errorf("%v", f)
	}
}
