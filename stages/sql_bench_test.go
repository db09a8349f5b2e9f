//go:build cgo

package stages

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages/duckdb"
)

// benchTransform sends b.N batches of 10,000 rows of six columns through a
// stage, or, for comparison, through a query that all columns pass.
func benchTransform(b *testing.B, tr Transform, whole string) {
	r := rand.New(rand.NewPCG(3, 3))
	f, err := frame.Select(sqlFrame(r, 0, 10000), []string{"row", "x", "y", "s", "f", "when"})
	if err != nil {
		b.Fatal(err)
	}
	env := (&Env{Parallel: 2}).For("sql")
	defer env.Close()
	stage, err := tr.Build(env)
	if err != nil {
		b.Fatal(err)
	}
	if whole != "" {
		stage = wholeRows(b, f.Schema(), whole)
	}
	source := func(soft, hard context.Context, out chan<- *Rows) error {
		for range b.N {
			if err := Send(hard, out, &Rows{Value: f, Rows: 10000}); err != nil {
				return err
			}
		}
		return nil
	}
	b.ResetTimer()
	run := NewRun(b.Context())
	To(run, "sink", Then(run, "sql", 2, From(run, "source", 2, source), stage), func(ctx context.Context, in <-chan *Rows) error {
		for {
			if _, ok, err := Receive(ctx, in); !ok || err != nil {
				return err
			}
		}
	})
	if err := run.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(1e4*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkFilter(b *testing.B) {
	benchTransform(b, &Filter{Where: "x IS NOT NULL AND x > -50"}, "")
}

func BenchmarkDerive(b *testing.B) {
	benchTransform(b, &Derive{Columns: sqlPairs("speed", "y / x * 60", "twice", "x * 2")}, "")
}

// What filter would cost if rows came out of DuckDB whole.
func BenchmarkFilterWholeRows(b *testing.B) {
	benchTransform(b, &Filter{Where: "true"}, "SELECT * FROM input WHERE x IS NOT NULL AND x > -50")
}

func wholeRows(b *testing.B, in *frame.Schema, sql string) Stage[frame.Frame, frame.Frame] {
	db, err := duckdb.Open(duckdb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	q, err := db.Prepare(b.Context(), sql, map[string]*frame.Schema{"input": in})
	if err != nil {
		b.Fatal(err)
	}
	return Parallel(2, true, func(ctx context.Context, r *Rows) (*Rows, error) {
		f, err := q.Collect(ctx, map[string]duckdb.Input{"input": duckdb.Single(r.Value)})
		if err != nil {
			return nil, err
		}
		return WithFrame(r, f), nil
	})
}
