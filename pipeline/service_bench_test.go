//go:build cgo && unix

package pipeline

import (
	"testing"

	"github.com/rpipe-dev/rpipe/rpool"
)

// BenchmarkService is one row through the stages, one request at a time and many
// at once: what a service adds to the time that R takes.
func BenchmarkService(b *testing.B) {
	pool := workers(b, rpool.Options{})
	for _, c := range []struct{ name, stages string }{
		{"map", "  - map: {fun: same}\n"},
		{"select", "  - select: [id, x]\n"},
		{"derive", "  - derive: {y: x * 2}\n"},
		{"filter", "  - filter: x > 0\n"},
		{"join", "  - join: {dataset: zones.csv, on: [id]}\n"},
		{"derive,join,map", "  - derive: {y: x * 2}\n  - join: {dataset: zones.csv, on: [id]}\n  - map: {fun: same}\n"},
	} {
		s := serve(b, put(b, map[string]string{
			"zones.csv": "id,zone\n1,north\n2,south\n",
			"model.R":   "same <- function(d) d\n",
			"p.yaml":    "version: 1\nr: {source: [model.R]}\nsource: {rows: [{id: 1, x: 1.5}]}\nstages:\n" + c.stages + anySink,
		}), ServiceOptions{Pool: pool})
		row := table(b, s.Input(), `{"id":1,"x":2.5}`)
		ask := func(b *testing.B) {
			if a, err := s.Do(b.Context(), row); err != nil || a.Rows() != 1 {
				b.Fatal(a, err)
			}
		}
		b.Run(c.name+"/alone", func(b *testing.B) {
			for b.Loop() {
				ask(b)
			}
		})
		b.Run(c.name+"/many", func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					ask(b)
				}
			})
		})
	}
}
