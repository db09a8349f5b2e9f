package index

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// With the engine itself: what is written can be read after Sync, deletions and expiry
// too, and a file of another store is made anew.
func TestWithBroker(t *testing.T) {
	ctx := context.Background()
	path := tempIndex(t)
	open := func() *broker.Broker {
		b, err := broker.Open(ctx, broker.Options{Dir: t.TempDir(), Durability: "interval:200ms"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	b := open()
	x := feed(t, path, b)
	j := &tasks.Job{ID: jobID(1), Name: "fit", Owner: "anna", Created: time.Now(), N: 1000, Array: true, Queue: "default"}
	write := func(b *broker.Broker, w broker.Write, v any) uint64 {
		t.Helper()
		if v != nil {
			w.Data, _ = json.Marshal(v)
		}
		w.Any = true
		seq, err := b.Write(ctx, w)
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	write(b, broker.Write{Subject: tasks.JobSubject(j.ID)}, j)
	var ws []broker.Write
	for n := 1; n <= j.N; n++ {
		data, _ := json.Marshal(j.New(n))
		ws = append(ws, broker.Write{Subject: tasks.TaskSubject(j.ID, n), Data: data})
	}
	seqs, errs := b.WriteAll(ctx, ws)
	for i, err := range errs {
		if err != nil {
			t.Fatalf("task %d: %v", i+1, err)
		}
	}
	has := func(seq uint64, want int64) {
		t.Helper()
		if err := x.Sync(ctx, seq); err != nil {
			t.Fatal(err)
		}
		row, ok, err := x.Job(ctx, j.ID)
		if err != nil || !ok || row.Counts[tasks.Pending] != want {
			t.Fatalf("%d tasks, want %d (%v, %v)", row.Counts[tasks.Pending], want, ok, err)
		}
	}
	has(seqs[len(seqs)-1], 1000)
	has(write(b, broker.Write{Subject: tasks.TaskSubject(j.ID, 7), Delete: true}, nil), 999)
	done := j.New(8)
	_ = done.Claim(tasks.Lease{Worker: "w1", Since: time.Now()})
	_ = done.Finish(j, tasks.Outcome{Cause: tasks.CauseDone}, time.Now())
	write(b, broker.Write{Subject: tasks.TaskSubject(j.ID, 8), TTL: time.Second}, done)
	eventually(t, "expiry", func() bool {
		c, err := x.Counts(ctx, Filter{})
		return err == nil && c[tasks.Complete] == 0 && c[tasks.Pending] == 998
	})
	x.stop()

	other := open()
	write(other, broker.Write{Subject: tasks.JobSubject(j.ID)}, j)
	seq := write(other, broker.Write{Subject: tasks.TaskSubject(j.ID, 1)}, j.New(1))
	x = feed(t, path, other)
	has(seq, 1)
}
