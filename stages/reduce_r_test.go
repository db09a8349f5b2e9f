//go:build unix && cgo

package stages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

// reducers are what the reduces of these tests call.
const reducers = `
summarise <- function(d) data.frame(rows = nrow(d), known = sum(!is.na(d$x)), mean = mean(d$x, na.rm = TRUE), first = d$x[1], last = d$x[nrow(d)])
whole <- function(d) {
  by <- list(g = addNA(factor(d$g, sort(unique(d$g), method = "radix")), ifany = TRUE), f = addNA(factor(as.character(d$f), sort(unique(as.character(d$f)), method = "radix")), ifany = TRUE))
  key <- interaction(by, drop = TRUE, lex.order = TRUE)
  at <- tapply(seq_len(nrow(d)), key, function(i) i[1])
  data.frame(
    g = d$g[at], f = as.character(d$f)[at], rows = as.integer(tapply(d$x, key, length)),
    known = as.integer(tapply(!is.na(d$x), key, sum)),
    mean = as.numeric(tapply(d$x, key, mean, na.rm = TRUE)),
    first = as.numeric(tapply(d$x, key, function(v) v[1])),
    last = as.numeric(tapply(d$x, key, function(v) v[length(v)]))
  )
}
same <- function(d) d
has_key <- function(d) data.frame(n = nrow(d), g = paste0(d$g[1], "!"))
classes <- function(d) data.frame(types = paste(vapply(d, function(v) class(v)[1], ""), collapse = " "), levels = paste(levels(d$f), collapse = " "), zone = attr(d$when, "tzone"))
fails_b <- function(d) if (d$g[1] %in% "b") stop("not b") else data.frame(n = nrow(d))
none_for_b <- function(d) if (d$g[1] %in% "b") data.frame() else data.frame(n = nrow(d))
draw <- function(d) data.frame(u = runif(1))
quit_b <- function(d) if (d$g[1] %in% "b") quit(status = 3) else data.frame(n = nrow(d))
`

func reduced(t testing.TB, p *rpool.Pool, r *rpool.Environment, c *Reduce, frames ...frame.Frame) (frame.Frame, []*Rejected, error) {
	t.Helper()
	if c.Int64 == "" {
		c.Int64 = "double"
	}
	env := (&Env{Pool: p, R: r, Parallel: 2, Memory: 1 << 20, Temp: t.TempDir() + "/run", Log: slog.New(slog.DiscardHandler)}).For("reduce")
	defer env.Close()
	var mu sync.Mutex
	var rejected []*Rejected
	env.Reject = func(_ context.Context, r *Rejected) error {
		mu.Lock()
		defer mu.Unlock()
		rejected = append(rejected, r)
		r.Batch.Settle(nil)
		return nil
	}
	stage, err := c.Build(env)
	if err != nil {
		t.Fatal(err)
	}
	ledger := NewLedger(0, 1)
	run := NewRun(t.Context())
	src := From(run, "source", 1, func(_, hard context.Context, out chan<- *Rows) error {
		for i, f := range frames {
			o, err := ledger.Open(hard, fmt.Sprint(i+1), f.NumRows(), 1)
			if err != nil {
				return err
			}
			if err := Send(hard, out, &Rows{Value: f, Rows: int(f.NumRows()), Epoch: 1, Seq: uint64(i), Origins: []*Origin{o}}); err != nil {
				return err
			}
		}
		return nil
	})
	var out []frame.Frame
	To(run, "sink", Then(run, "reduce", 1, src, stage), func(ctx context.Context, in <-chan *Rows) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			if b.Epoch != FinalEpoch {
				return fmt.Errorf("a batch of epoch %d", b.Epoch)
			}
			out = append(out, b.Value)
			b.Settle(nil)
		}
	})
	if err := run.Wait(); err != nil {
		return nil, rejected, err
	}
	if _, open := ledger.Frontier(); open != 0 {
		t.Errorf("%d reads are open", open)
	}
	if len(out) == 0 {
		return frame.Empty(sqlSchema()), rejected, nil
	}
	return whole(t, out), rejected, nil
}

func reducePool(t testing.TB) (*rpool.Pool, *rpool.Environment) {
	p, r := rpoolOf(t, 2)
	r.Setup = reducers
	return p, r
}

// Each group is what tapply and by make of the rows, in any number of batches.
func TestReduceEqualsR(t *testing.T) {
	p, r := reducePool(t)
	rnd := rand.New(rand.NewPCG(21, 21))
	var frames []frame.Frame
	for range 20 {
		var rows []string
		for range 150 {
			x := fmt.Sprint(rnd.IntN(1000))
			if rnd.IntN(9) == 0 {
				x = "."
			}
			rows = append(rows, fmt.Sprintf("%s %s %s", []string{"a", "b", "Z", "é", "."}[rnd.IntN(5)], []string{"u", "V", "w", "."}[rnd.IntN(4)], x))
		}
		frames = append(frames, tableOf(t, []string{"g string", "f factor", "x double"}, rows...))
	}
	want, _, err := reduced(t, p, r, &Reduce{Fun: "whole", Ordered: true}, frames...)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := reduced(t, p, r, &Reduce{By: []string{"g", "f"}, Fun: "summarise", Ordered: true}, frames...)
	if err != nil {
		t.Fatal(err)
	}
	if want.NumRows() != 20 || !slices.Equal(shown(got), shown(want)) {
		t.Errorf("%v\nwant %v", shown(got), shown(want))
	}
}

// A group has all columns, with the types, levels and zones that they have in
// the input, and its rows in the order in which they came.
func TestReduceKeepsColumns(t *testing.T) {
	p, r := reducePool(t)
	rnd := rand.New(rand.NewPCG(22, 22))
	in := sqlFrame(rnd, 0, 500)
	got, _, err := reduced(t, p, r, &Reduce{By: []string{"b"}, Fun: "same", Ordered: true}, frame.Slice(in, 0, 200), frame.Slice(in, 200, 500))
	if err != nil {
		t.Fatal(err)
	}
	var rows []int
	for _, of := range []string{"false", "true", "(null)"} {
		for i := range 500 {
			if v := in.Column(5).ValueStr(i); v == of {
				rows = append(rows, i)
			}
		}
	}
	sameRows(t, got, in, rows)
	got, _, err = reduced(t, p, r, &Reduce{By: []string{"x"}, Fun: "classes", Ordered: true}, frame.Slice(in, 0, 200))
	if err != nil {
		t.Fatal(err)
	}
	if s := shown(got)[0]; !strings.HasSuffix(s, " numeric integer numeric character factor logical POSIXct list difftime "+strings.Join(levelsOf(in), " ")+" Europe/Berlin") {
		t.Errorf("%s", s)
	}
}

func levelsOf(f frame.Frame) []string {
	k := newKeyColumn(f.Schema(), f.Schema().FieldIndices("f")[0], "f")
	k.watch(f)
	return k.levels
}

func TestReduceResults(t *testing.T) {
	p, r := reducePool(t)
	in := tableOf(t, []string{"g string", "x double"}, "b 1", "a 2", "b 3", ". 4")
	f := func(c *Reduce, want ...string) {
		t.Helper()
		c.Ordered = true
		got, _, err := reduced(t, p, r, c, in)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(shown(got), want) {
			t.Errorf("%v\nwant %v", shown(got), want)
		}
		if len(c.Returns) == 0 {
			return
		}
		if planned, err := c.Plan(in.Schema()); err != nil || !planned.Equal(got.Schema()) {
			t.Errorf("planned\n%swas\n%s%v", frame.FormatSchema(planned), frame.FormatSchema(got.Schema()), err)
		}
	}
	f(&Reduce{By: []string{"g"}, Fun: "has_key"}, "1 a!", "2 b!", "1 NA!")
	f(&Reduce{By: []string{"g"}, Fun: "none_for_b"}, "a 1", ". 1")
	f(&Reduce{Fun: "none_for_b"}) // the first row is of b
	f(&Reduce{By: []string{"g"}, Fun: "none_for_b", Returns: sqlPairs("n", "int64")}, "a 1", ". 1")
	f(&Reduce{By: []string{"g", "x"}, Fun: "fails_b", Returns: sqlPairs("n", "double"), OnError: "skip"}, "a 2 1", ". 4 1")

	c := &Reduce{By: []string{"g"}, Fun: "has_key", Returns: sqlPairs("m", "double")}
	if _, _, err := reduced(t, p, r, c, in); err == nil || !strings.HasPrefix(err.Error(), "reduce: group g = ") || !strings.Contains(err.Error(), `what has_key returned is not what returns: declares: column "n"`) {
		t.Error(err)
	}
}

// A group that fails is named, and goes whole.
func TestReduceErrors(t *testing.T) {
	p, r := reducePool(t)
	in := tableOf(t, []string{"g string", "x double"}, "b 1", "a 2", "b 3", "c 4")
	for _, fun := range []string{"fails_b", "quit_b"} {
		c := &Reduce{By: []string{"g"}, Fun: fun, Ordered: true, MaxAttempts: 2}
		_, _, err := reduced(t, p, r, c, in)
		var se *StageError
		if !errors.As(err, &se) || se.Batch != "group g = b (2 rows)" {
			t.Errorf("%s: %v", fun, err)
		}
		c.OnError = "dead_letter"
		got, rejected, err := reduced(t, p, r, c, in)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(shown(got), []string{"a 1", "c 1"}) || len(rejected) != 1 || !slices.Equal(shown(rejected[0].Frame), []string{"b 1", "b 3"}) || !rejected[0].Whole {
			t.Errorf("%s: %v, %d rejected", fun, shown(got), len(rejected))
		}
	}
	if _, err := (&Reduce{By: []string{"g", "nosuch"}, Fun: "f"}).Plan(in.Schema()); err == nil || !strings.HasPrefix(err.Error(), "by[1]: ") {
		t.Error(err)
	}
}

// A group's random numbers depend on its values and on no other group.
func TestReduceSeeds(t *testing.T) {
	p, r := reducePool(t)
	seed := int64(3)
	f := func(rows ...string) map[string]string {
		t.Helper()
		got, _, err := reduced(t, p, r, &Reduce{By: []string{"g"}, Fun: "draw", Seed: &seed}, tableOf(t, []string{"g string", "x double"}, rows...))
		if err != nil {
			t.Fatal(err)
		}
		drawn := map[string]string{}
		for _, row := range shown(got) {
			g, u, _ := strings.Cut(row, " ")
			drawn[g] = u
		}
		return drawn
	}
	few, many := f("b 1", "c 2"), f("c 1", "a 1", "b 2", ". 3", "b 4")
	if few["b"] != many["b"] || few["c"] != many["c"] || len(many) != 4 || many["a"] == many["b"] || many["."] == many["a"] {
		t.Errorf("%v %v", few, many)
	}
}

func TestReduceOfNothing(t *testing.T) {
	p, r := reducePool(t)
	for _, by := range [][]string{nil, {"s"}} {
		if got, _, err := reduced(t, p, r, &Reduce{By: by, Fun: "summarise"}, frame.Empty(sqlRow)); err != nil || got.NumRows() > 0 {
			t.Errorf("%v, %v", got, err)
		}
	}
}

var _ configs.Checker = (*Reduce)(nil)
