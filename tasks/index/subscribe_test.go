package index

import (
	"testing"

	"github.com/rpipe-dev/rpipe/tasks"
)

// next is the next event; the test fails where there is none within a minute.
func next(t *testing.T, events <-chan Event) Event {
	t.Helper()
	var e Event
	eventually(t, "event", func() bool {
		select {
		case e = <-events:
			return true
		default:
			return false
		}
	})
	return e
}

func TestSubscribe(t *testing.T) {
	s := newStream()
	x := feed(t, tempIndex(t), s)
	all, stopAll := x.Subscribe(nil)
	of2, stop2 := x.Subscribe(func(t *tasks.Task) bool { return t.N == 2 }, jobID(2), jobID(3), jobID(2))
	defer stop2()
	s.some(1, 3)
	for job := 1; job <= 3; job++ {
		for n := 1; n <= 3; n++ {
			if e := next(t, all); e.Task == nil || e.Task.ID() != tasks.TaskID(jobID(job), n) || e.Task.Rev == 0 {
				t.Fatalf("task %d of job %d: %+v", n, job, e)
			}
		}
	}
	for _, want := range []string{tasks.TaskID(jobID(2), 2), tasks.TaskID(jobID(3), 2)} {
		if e := next(t, of2); e.Task == nil || e.Task.ID() != want {
			t.Fatalf("%s: %+v", want, e)
		}
	}
	s.drop(&tasks.Task{Job: jobID(2), N: 2})
	if e := next(t, of2); e.Task == nil || e.Task.State != tasks.Missing {
		t.Fatalf("of one that is gone: %+v", e)
	}
	stopAll()
	stopAll()
	for range all { // it is closed
	}
}

// Who does not read in time is told that there is a gap, and holds up nobody.
func TestSubscribeGap(t *testing.T) {
	s := newStream()
	x := feed(t, tempIndex(t), s)
	slow, stop := x.Subscribe(nil)
	s.some(1, buffered/3+10)
	x.sync(s)
	for range buffered {
		if e := next(t, slow); e.Gap || e.Task == nil {
			t.Fatalf("%+v", e)
		}
	}
	s.some(1000, 1000)
	if e := next(t, slow); !e.Gap || e.Task != nil {
		t.Fatalf("after a gap: %+v", e)
	}
	if e := next(t, slow); e.Gap || e.Task.ID() != tasks.TaskID(jobID(1000), 1) {
		t.Fatalf("after a gap: %+v", e)
	}
	x.stop()
	for range slow { // it is closed with the index
	}
	stop()
	late, stop := x.Subscribe(nil)
	defer stop()
	if _, open := <-late; open {
		t.Error("an event after Close")
	}
}
