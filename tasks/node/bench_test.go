//go:build linux

package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// BenchmarkNoop is tasks that do nothing, on two R processes, from their submission to
// the last record. It reports tasks a second from the first claim on.
func BenchmarkNoop(b *testing.B) {
	for _, durability := range []broker.Durability{"interval:200ms", "always"} {
		b.Run(string(durability), func(b *testing.B) {
			w := newWorld(b, broker.Options{Durability: durability})
			n := w.worker(Options{Max: 2})
			warm := w.submit(tasks.Job{Call: r("function(x) x")}, number64(1), number64(2))
			w.end(warm)
			elements := make([][]byte, max(b.N, 2))
			for i := range elements {
				elements[i] = encoded(&rdata.Double{Values: []float64{float64(i)}})
			}
			if err := n.pause(true); err != nil {
				b.Fatal(err)
			}
			j := w.submit(tasks.Job{Call: r("function(x) x")}, elements...)
			b.ResetTimer()
			start, cpu, inR := time.Now(), cpuTime(b), n.cpuOfR()
			if err := n.pause(false); err != nil {
				b.Fatal(err)
			}
			w.until("all are done", func() bool { return n.idleAfter(int64(len(elements)) + 2) })
			took := time.Since(start)
			b.StopTimer()
			if states := w.end(j); states[tasks.Complete] != len(elements) {
				b.Fatal(fmt.Sprint(states))
			}
			each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(len(elements)) }
			b.ReportMetric(float64(len(elements))/took.Seconds(), "tasks/s")
			b.ReportMetric(each(cpuTime(b)-cpu), "µs-go/task") // the store's too
			b.ReportMetric(each(n.cpuOfR()-inR), "µs-R/task")
		})
	}
}

// BenchmarkRoundTrip is one task at a time: its records and work written, run, and its
// last record heard of.
func BenchmarkRoundTrip(b *testing.B) {
	for _, durability := range []broker.Durability{"interval:200ms", "always"} {
		b.Run(string(durability), func(b *testing.B) {
			w := newWorld(b, broker.Options{Durability: durability})
			w.worker(Options{})
			w.end(w.submit(tasks.Job{Call: r("function() 1")}))
			from, err := w.b.LastSeq(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan struct{}, 1)
			done := make(chan error, 1)
			go func() {
				done <- w.b.Feed(ctx, from, func(rs []broker.Record) error {
					for _, r := range rs {
						if bytes.Contains(r.Data, []byte(`"state":"COMPLETE"`)) {
							ended <- struct{}{}
						}
					}
					return nil
				})
			}()
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				w.submit(tasks.Job{Call: r("function() 1")})
				<-ended
				took = append(took, time.Since(start))
			}
			stop()
			<-done
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}

// idleAfter reports whether so many tasks are done, and nothing is held.
func (n *Node) idleAfter(tasks int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.done >= tasks && len(n.held) == 0
}

// cpuTime is the processor time that this process has taken.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuOfR is what its R processes have taken.
func (n *Node) cpuOfR() (d time.Duration) {
	for _, e := range n.pool.Stats().Environments {
		for _, w := range e.Workers {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.Pid))
			if err != nil {
				continue
			}
			f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
			for _, ticks := range f[11:13] {
				t, _ := strconv.Atoi(ticks)
				d += time.Duration(t) * 10 * time.Millisecond
			}
		}
	}
	return d
}
