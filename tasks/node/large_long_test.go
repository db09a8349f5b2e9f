//go:build unix && long

package node

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// A value of more than 2 GB goes from R to a task that takes it, and little of it is ever
// in this process.
func TestTwoGigabytes(t *testing.T) {
	w := newWorld(t, broker.Options{})
	s, err := blob.Open(blob.Options{Dir: t.TempDir(), Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w.s = s
	n := w.worker(Options{})
	defer n.end()
	var most atomic.Uint64
	over := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapInuse))
			}
		}
	}()
	made := w.await(w.submit(tasks.Job{Call: r("function() raw(2.2e9)")}), 1, tasks.Complete)
	if made.Result.Size < 2.2e9 || made.Result.Ref == "" {
		t.Fatalf("%+v", made.Result)
	}
	call := r("function(v) c(length(v), as.integer(v[2.2e9]))")
	call.Args = []tasks.Arg{{Name: "v", Value: tasks.Value{Ref: made.Result.Ref, Size: made.Result.Size}}}
	if got := w.shown(w.await(w.submit(tasks.Job{Call: call}), 1, tasks.Complete)); got != "2.2e+09 0" {
		t.Error(got)
	}
	close(over)
	<-watched
	t.Logf("%d MiB of heap at most", most.Load()>>20)
	if most.Load() > 200<<20 {
		t.Errorf("%d MiB of heap", most.Load()>>20)
	}
}
