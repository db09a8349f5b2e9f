//go:build unix

package stages

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Text with few different strings crosses as codes, and does not cross back at
// all where it did not change. No function may be able to tell.
func TestRepeatedTextCrossesUnnoticed(t *testing.T) {
	p, err := rpool.New(rpool.Options{Max: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	env := &rpool.Environment{Packages: []string{"data.table"}, Setup: `
same <- function(d) { stopifnot(is.character(d$few), is.character(d$many), is.null(attributes(d$few))); d }
upper <- function(d) { d$few <- toupper(d$few); d }
one <- function(d) { d$few[300] <- "changed"; d }
in_place <- function(d) { setDT(d); set(d, 300L, "few", "changed"); d[] }
as_factor <- function(d) { d$few <- factor(d$few, levels = c("c", "b", "a", "ü", "")); d }
dropped <- function(d) d["many"]
swapped <- function(d) { names(d) <- rev(names(d)); d }
labelled <- function(d) { attr(d$few, "label") <- "text"; d }
backwards <- function(d) d[nrow(d):1, ]
missing <- function(d) { d$few <- NA_character_; d }
`}
	const rows = 600
	few := []string{"a", "b", "ü", "", "c"}
	b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{
		{Name: "few", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "many", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil))
	for i := range rows {
		if i%11 == 7 {
			b.Column(0).AppendNull()
		} else {
			b.Column(0).AppendString(few[i*i%5])
		}
		b.Column(1).AppendString(fmt.Sprint("row ", i))
	}
	whole, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	in := frame.Slice(whole, 7, rows) // offsets are not zero
	run := func(fun string) frame.Frame {
		t.Helper()
		root := (&Env{Pool: p, R: env, Parallel: 1, Log: slog.New(slog.DiscardHandler)}).For("map")
		stage, err := (&Map{Fun: fun, Ordered: true}).Build(root)
		if err != nil {
			t.Fatal(err)
		}
		r := NewRun(t.Context())
		src := From(r, "source", 1, func(_, hard context.Context, out chan<- *Rows) error {
			return Send(hard, out, &Rows{Value: in, Rows: int(in.NumRows())})
		})
		var got frame.Frame
		To(r, "sink", Then(r, "map", 1, src, stage), func(ctx context.Context, in <-chan *Rows) error {
			for b := range in {
				got = b.Value
			}
			return nil
		})
		if err := r.Wait(); err != nil {
			t.Fatalf("%s: %v", fun, err)
		}
		return got
	}
	if d := frame.Diff(in, run("same")); d != "" {
		t.Errorf("same: %s", d)
	}
	text := func(f frame.Frame, column, row int) string {
		if f.Column(column).IsNull(row) {
			return "NA"
		}
		return f.Column(column).ValueStr(row)
	}
	f := func(fun string, column int, want func(row int) string) {
		t.Helper()
		got := run(fun)
		for i := range int(got.NumRows()) {
			if have := text(got, column, i); have != want(i) {
				t.Errorf("%s: row %d is %q, want %q", fun, i, have, want(i))
				return
			}
		}
	}
	same := func(i int) string { return text(in, 0, i) }
	changed := func(i int) string {
		if i == 299 {
			return "changed"
		}
		return same(i)
	}
	f("upper", 0, func(i int) string {
		return map[string]string{"a": "A", "b": "B", "c": "C", "ü": "Ü", "": "", "NA": "NA"}[same(i)]
	})
	f("one", 0, changed)
	f("in_place", 0, changed)
	f("as_factor", 0, same)
	f("dropped", 0, func(i int) string { return text(in, 1, i) })
	f("swapped", 0, same)
	f("swapped", 1, func(i int) string { return text(in, 1, i) })
	f("labelled", 0, same)
	f("backwards", 0, func(i int) string { return same(int(in.NumRows()) - 1 - i) })
	f("missing", 0, func(int) string { return "NA" })
	if _, ok := run("as_factor").Column(0).(*array.Dictionary); !ok {
		t.Error("a factor came back as something else")
	}
}
