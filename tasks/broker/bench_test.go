package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

var document = make([]byte, 400) // bytes of a record of a small task

// BenchmarkWrite: records/s of one caller, and of several at a time.
func BenchmarkWrite(b *testing.B) {
	for _, d := range []Durability{Always, "interval:200ms"} {
		for _, at := range []int{1, 4, 16, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", d, at), func(b *testing.B) {
				s := open(b, func(o *Options) { o.Durability = d })
				var n atomic.Int64
				b.ResetTimer()
				var wg sync.WaitGroup
				for range at {
					wg.Go(func() {
						for {
							i := n.Add(1)
							if i > int64(b.N) {
								return
							}
							if _, err := s.Write(b.Context(), Write{Subject: fmt.Sprintf("rp.s.job.%d", i), Data: document}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
		for _, group := range []int{2, 3, 4, 5, 6, 8, 10, 20, 100, 1000} {
			b.Run(fmt.Sprintf("%s/group=%d", d, group), func(b *testing.B) {
				s := open(b, func(o *Options) { o.Durability = d })
				ws := make([]Write, group)
				n := 0
				for b.Loop() {
					for i := range ws {
						n++
						ws[i] = Write{Subject: fmt.Sprintf("rp.s.job.%d", n), Data: document}
					}
					_, errs := s.WriteAll(b.Context(), ws)
					if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
						b.Fatal(errs[i])
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// BenchmarkBatchOrSingles: what a group of writes costs by itself, as a batch or not.
func BenchmarkBatchOrSingles(b *testing.B) {
	for _, group := range []int{1, 2, 3, 4, 6, 8, 12} {
		for _, how := range []string{"batch", "singles"} {
			b.Run(fmt.Sprintf("%s/group=%d", how, group), func(b *testing.B) {
				s := open(b)
				n := 0
				for b.Loop() {
					g := &group1{}
					ps := g.make(b.Context(), s, group, &n)
					if how == "singles" {
						s.singles(b.Context(), ps)
						continue
					}
					if _, err := s.batch(b.Context(), ps); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

type group1 struct{ group }

func (g *group1) make(ctx context.Context, b *Broker, size int, n *int) []*pending {
	g.group = group{left: size, seqs: make([]uint64, size), errs: make([]error, size), done: make(chan struct{})}
	ps := make([]*pending, size)
	for i := range ps {
		*n++
		w := Write{Subject: fmt.Sprintf("rp.s.job.%d", *n), Data: document}
		ps[i] = &pending{Write: w, ctx: ctx, group: &g.group, i: i, tag: b.tag + base36(b.writes.Add(1))}
	}
	return ps
}

func BenchmarkGet(b *testing.B) {
	s := open(b, interval)
	subjects := make([]string, 500)
	ws := make([]Write, len(subjects))
	for i := range ws {
		subjects[i] = fmt.Sprintf("rp.s.job.%d", i)
		ws[i] = Write{Subject: subjects[i], Data: document}
	}
	s.WriteAll(b.Context(), ws)
	b.Run("one", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			if _, err := s.Get(b.Context(), subjects[i%len(subjects)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("500", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.GetAll(b.Context(), subjects); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPush(b *testing.B) {
	for _, group := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			s := open(b)
			n := 0
			ws := make([]Work, group)
			for b.Loop() {
				for i := range ws {
					n++
					ws[i] = Work{"q", tasks.Normal, "job", n}
				}
				if err := s.Push(b.Context(), ws); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkLanes: claiming and acknowledging from a backlog in the last of three queues.
func BenchmarkLanes(b *testing.B) {
	for _, at := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("backlog/at=%d", at), func(b *testing.B) {
			s := open(b)
			l := lanesOf(b, s, "high", "default", "low")
			ws := make([]Work, b.N)
			for i := range ws {
				ws[i] = Work{"low", tasks.Low, "job", i + 1}
			}
			push(b, s, ws...)
			b.ResetTimer()
			for n := 0; n < b.N; {
				ds, err := l.Next(b.Context(), at)
				if err != nil {
					b.Fatal(err)
				}
				for _, d := range ds {
					d.Ack() //nolint:errcheck // of a benchmark
				}
				n += len(ds)
			}
		})
	}
	b.Run("idle", func(b *testing.B) { // from Push to Next, twelve lanes
		s := open(b)
		l := lanesOf(b, s, "high", "default", "low")
		came := make(chan bool)
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(b.Context())
		wg.Go(func() {
			for {
				ds, err := l.Next(ctx, 1)
				if err != nil {
					return
				}
				ds[0].Ack() //nolint:errcheck // of a benchmark
				came <- true
			}
		})
		var took []time.Duration
		n := 0
		for b.Loop() {
			n++
			start := time.Now()
			push(b, s, Work{[]string{"high", "default", "low"}[n%3], tasks.Lane(n % 4), "job", n})
			<-came
			took = append(took, time.Since(start))
		}
		cancel()
		wg.Wait()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	})
}

func BenchmarkFeed(b *testing.B) {
	s := open(b, interval)
	ws := make([]Write, 20000)
	for i := range ws {
		ws[i] = Write{Subject: fmt.Sprintf("rp.s.job.%d", i+1), Data: document}
	}
	s.WriteAll(b.Context(), ws)
	n := 0
	for b.Loop() {
		got := 0
		s.Feed(b.Context(), 0, func(rs []Record) error { //nolint:errcheck // it ends with errEnd
			if got += len(rs); got == len(ws) {
				return errEnd
			}
			return nil
		})
		n += got
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkObjects(b *testing.B) {
	for _, size := range []int{16 << 10, 64 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := open(b)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := s.Objects().Put(b.Context(), "x", random(size)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
