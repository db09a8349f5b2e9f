package tables

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// benchSchema has a number and a text that mean the same key, and a column of
// few values.
var benchSchema = schema("id int64", "code string", "day date", "x double", "name string")

func benchFrame(r *rand.Rand, n int, id func(i int) int) frame.Frame {
	b := frame.NewBuilderSize(benchSchema, n)
	for i := range n {
		k := id(i)
		b.Column(0).AppendInt64(int64(k))
		b.Column(1).AppendString(fmt.Sprintf("code-%07d", k))
		b.Column(2).AppendInt32(int32(k % 365))
		b.Column(3).AppendDouble(r.Float64())
		b.Column(4).AppendString("some name")
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}

// BenchmarkJoin sends batches of 10,240 rows, of which ten of eleven match one
// of a million rows.
func BenchmarkJoin(b *testing.B) {
	const size = 1_000_000
	r := rand.New(rand.NewPCG(1, 1))
	dataset := benchFrame(r, size, func(i int) int { return i })
	batches := make([]frame.Frame, 50)
	for i := range batches {
		batches[i] = benchFrame(r, frame.Rows, func(int) int { return r.IntN(size + size/10) })
	}
	run := func(name string, how string, keys ...string) {
		b.Run(name, func(b *testing.B) {
			c := &Join{Dataset: from(dataset), How: how, Duplicates: "error", Columns: []string{"x", "name"}, Suffix: "_d"}
			for _, k := range keys {
				c.On = append(c.On, configs.Pair{Name: k, Value: k})
			}
			env := testEnv(b, "")
			env.Parallel, env.Memory = 2, 1<<30
			stage, err := c.Build(env)
			if err != nil {
				b.Fatal(err)
			}
			flow := stages.NewRun(b.Context())
			edge := stages.From(flow, "source", 2, func(_, hard context.Context, out chan<- *stages.Rows) error {
				if err := stages.Send(hard, out, &stages.Rows{Value: frame.Slice(batches[0], 0, 1), Rows: 1}); err != nil {
					return err // builds the index
				}
				for i := range b.N {
					if err := stages.Send(hard, out, &stages.Rows{Value: batches[i%len(batches)], Rows: frame.Rows}); err != nil {
						return err
					}
				}
				return nil
			})
			edge = stages.Then(flow, "join", 2, edge, stage)
			stages.To(flow, "sink", edge, func(ctx context.Context, in <-chan *stages.Rows) error {
				for first := true; ; first = false {
					if _, ok, err := stages.Receive(ctx, in); !ok || err != nil {
						return err
					}
					if first {
						b.ResetTimer()
					}
				}
			})
			if err := flow.Wait(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(frame.Rows*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
	run("number/left", "left", "id")
	run("number/semi", "semi", "id")
	run("text/left", "left", "code")
	run("two/left", "left", "id", "day")
}
