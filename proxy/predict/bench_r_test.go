//go:build unix

package predict

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
)

// BenchmarkPredict is predict() of an lm for one row a request, by callers who each
// ask again as soon as they have their answer. Apart is one call of R for each
// request; bench/predict measures the same over HTTP.
func BenchmarkPredict(b *testing.B) {
	for _, c := range []struct {
		name     string
		callers  int
		requests int
		wait     time.Duration
	}{
		{"apart/64", 64, 1, 0},
		{"together/8", 8, 0, 5 * time.Millisecond},
		{"together/64", 64, 0, 5 * time.Millisecond},
		{"together/64/wait=0", 64, 0, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := serve(b, 0, func(e *Endpoint) {
				e.Fun, e.Schema = "predict_dist", columns("speed", "double")
				e.Batch.Requests, e.Batch.Wait = c.requests, configs.Duration(c.wait)
			})
			body := []byte(`[{"speed": 12.5}]`)
			var queue atomic.Int64
			start := time.Now()
			b.SetParallelism(max(1, c.callers/2))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					x := &exchange.Exchange{}
					if w := postWith(context.Background(), p, x, body); w.Code != 200 {
						b.Error(fmt.Sprint(w.Code, w.Body))
						return
					}
					queue.Add(int64(x.Queue))
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "requests/s")
			for _, m := range p.scorer.(*predictions).flow.run.Meters() {
				if m.Name == "batch" {
					b.ReportMetric(float64(b.N)/float64(m.Read().BatchesOut), "rows/batch")
				}
			}
		})
	}
}
