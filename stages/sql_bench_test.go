//go:build cgo

package stages

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

// benchTransform sends b.N batches of 10,000 rows of six columns through a stage.
func benchTransform(b *testing.B, tr Transform) {
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
	benchTransform(b, &FilterConfig{Where: "x IS NOT NULL AND x > -50"})
}

func BenchmarkDerive(b *testing.B) {
	benchTransform(b, &DeriveConfig{Columns: sqlPairs("speed", "y / x * 60", "twice", "x * 2")})
}
