package index

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// load is a source of many records: jobs of size tasks each, which come rounds times:
// PENDING, RUNNING and COMPLETE, or one in a hundred ERROR.
type load struct {
	tasks, size int
	rounds      []tasks.State
	jobs        map[int]*tasks.Job
	sent        chan struct{} // closed when all have been taken
}

func (l *load) job(n int) *tasks.Job {
	if j := l.jobs[n]; j != nil {
		return j
	}
	j := &tasks.Job{ID: jobID(n), Name: fmt.Sprintf("fit-%d", n%50), Owner: fmt.Sprintf("owner%d", n%7), Created: began.Add(time.Duration(n) * time.Millisecond),
		N: l.size, Array: l.size > 1, Queue: queues[n%3], Lane: tasks.Normal, Labels: map[string]string{"study": fmt.Sprint(n % 10)}}
	l.jobs[n] = j
	return j
}

func (l *load) record(k int, state tasks.State, seq uint64) broker.Record {
	j := l.job(k / l.size)
	t := j.New(k%l.size + 1)
	now := began.Add(time.Duration(k) * time.Microsecond)
	w := workers[k%3]
	if state != tasks.Pending {
		_ = t.Claim(tasks.Lease{Worker: w, Host: "host of " + w, Nonce: "0123456789abcdef", Since: now})
	}
	switch {
	case state != tasks.Complete:
	case k%100 == 0:
		_ = t.Finish(j, tasks.Outcome{Cause: tasks.CauseError, Failure: &tasks.Failure{Message: fmt.Sprintf("row %d is not there", k), Classes: []string{"simpleError"}}}, now)
	default:
		_ = t.Finish(j, tasks.Outcome{Cause: tasks.CauseDone, Result: tasks.Value{Data: make([]byte, 100), Size: 100}, Usage: tasks.Usage{User: 1e6, PeakRSS: 1e8}}, now)
	}
	data, _ := json.Marshal(t)
	return broker.Record{Subject: tasks.TaskSubject(t.Job, t.N), Data: data, Seq: seq, Time: now}
}

func (l *load) Feed(ctx context.Context, from uint64, f func([]broker.Record) error) error {
	seq := uint64(0)
	var part []broker.Record
	send := func(r broker.Record) error {
		if r.Seq > from {
			part = append(part, r)
		}
		if len(part) < 500 {
			return nil
		}
		err := f(part)
		part = part[:0]
		return err
	}
	for _, state := range l.rounds {
		for k := range l.tasks {
			if k%l.size == 0 && state == l.rounds[0] {
				seq++
				data, _ := json.Marshal(l.job(k / l.size))
				if err := send(broker.Record{Subject: tasks.JobSubject(jobID(k / l.size)), Data: data, Seq: seq, Time: began}); err != nil {
					return err
				}
			}
			seq++
			if err := send(l.record(k, state, seq)); err != nil {
				return err
			}
		}
	}
	if len(part) > 0 {
		if err := f(part); err != nil {
			return err
		}
	}
	close(l.sent)
	<-ctx.Done()
	return ctx.Err()
}

func (l *load) Range(_ context.Context, _ string, f func(broker.Record) error) error {
	if len(l.rounds) > 1 {
		return nil
	}
	for n := range l.tasks / l.size {
		data, _ := json.Marshal(l.job(n))
		if err := f(broker.Record{Subject: tasks.JobSubject(jobID(n)), Data: data, Seq: uint64(n*(l.size+1) + 1), Time: began}); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) last() uint64                            { return uint64(l.tasks*len(l.rounds) + l.tasks/l.size) }
func (l *load) LastSeq(context.Context) (uint64, error) { return l.last(), nil }
func (l *load) Epoch(context.Context) (string, error)   { return "load", nil }

func fill(b testing.TB, path string, l *load) (*Index, time.Duration) {
	l.jobs, l.sent = map[int]*tasks.Job{}, make(chan struct{})
	x, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- x.Run(ctx, l) }()
	if err := x.Sync(ctx, l.last()); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return x, took
}

var inRounds = []tasks.State{tasks.Pending, tasks.Running, tasks.Complete}

// BenchmarkFeed is how many changes a second go in. The making of the records is in it,
// on a processor of its own where there is one.
func BenchmarkFeed(b *testing.B) {
	for _, size := range []int{1, 100, 10000} {
		b.Run(fmt.Sprintf("jobs of %d", size), func(b *testing.B) {
			var changes, took float64
			for range b.N {
				l := &load{tasks: 60_000, size: size, rounds: inRounds}
				x, d := fill(b, filepath.Join(b.TempDir(), "index.db"), l)
				changes, took = changes+float64(l.last()), took+d.Seconds()
				x.Close()
			}
			b.ReportMetric(changes/took, "changes/s")
		})
	}
}

// BenchmarkMillion makes an index of a million tasks anew, and asks it.
func BenchmarkMillion(b *testing.B) {
	for _, size := range []int{1000, 1} {
		path := filepath.Join(b.TempDir(), "index.db")
		x, took := fill(b, path, &load{tasks: 1_000_000, size: size, rounds: []tasks.State{tasks.Complete}})
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		info, _ := os.Stat(path)
		b.Run(fmt.Sprintf("made anew/%d", size), func(b *testing.B) {
			for range b.N { // it has been
			}
			b.ReportMetric(took.Seconds(), "s")
			b.ReportMetric(float64(info.Size()>>20), "MB/file")
			b.ReportMetric(float64(m.HeapInuse>>20), "MB/heap")
		})
		ctx := context.Background()
		for _, f := range []Filter{
			{}, {Oldest: true}, {States: []tasks.State{tasks.Error}}, {Owner: "owner3", States: []tasks.State{tasks.Error}},
			{Name: "fit-7"}, {Name: "fit-7", Owner: "owner3", Queue: "short", States: []tasks.State{tasks.Error}}, {Worker: "w2", Labels: map[string]string{"study": "3"}},
			{Text: "row 99"}, {Text: "fit"}, {Text: "not row 777700"}, {Owner: "nobody"}, {States: []tasks.State{tasks.Running}},
			{Since: began.Add(200 * time.Millisecond), Until: began.Add(300 * time.Millisecond), Worker: "w1"},
		} {
			name := fmt.Sprintf("%d/%v", size, strings.NewReplacer("0001-01-01 00:00:00 +0000 UTC", "", " ", "").Replace(f.String()))
			b.Run("tasks/"+name, func(b *testing.B) {
				for range b.N {
					if _, _, err := x.Tasks(ctx, f); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("jobs/"+name, func(b *testing.B) {
				for range b.N {
					if _, _, err := x.Jobs(ctx, f); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("counts/"+name, func(b *testing.B) {
				for range b.N {
					if _, err := x.Counts(ctx, f); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		x.Close()
	}
}
