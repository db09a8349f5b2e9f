package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// result is how an attempt of a task here has ended.
type result struct {
	h   *held
	out *tasks.Outcome
	now time.Time
}

// finish has the end of an attempt written down.
func (n *Node) finish(h *held, out *tasks.Outcome) {
	h.rec.Lock() // a write of its process's pid has ended
	defer h.rec.Unlock()
	n.mu.Lock()
	n.writing++
	h.ending = true
	n.mu.Unlock()
	n.results <- &result{h, out, time.Now().UTC()}
}

// writeResults writes what has come while the last was being written, together, until
// results is closed.
func (n *Node) writeResults() {
	for r := range n.results {
		group := []*result{r}
		for len(group) < maxAhead {
			var more bool
			select {
			case r, more = <-n.results:
			default:
			}
			if !more {
				break
			}
			group = append(group, r)
		}
		n.writeGroup(group)
		n.mu.Lock()
		n.writing -= len(group)
		n.changed.Broadcast()
		n.mu.Unlock()
	}
}

func (n *Node) writeGroup(group []*result) {
	writes := make([]broker.Write, 0, len(group))
	written := make([]*result, 0, len(group))
	for _, r := range group {
		t := &r.h.task
		if err := t.Finish(r.h.job.Job, *r.out, r.now); err != nil {
			n.log.Error("the end of a task cannot be written", "task", r.h.id, "error", err)
			n.forget(r.h)
			continue
		}
		if t.State == tasks.Pending && r.h.job.MaxRunning > 0 {
			t.Held = true // it has to be admitted again
		}
		w := n.write(t, t.Rev)
		if w == nil {
			n.forget(r.h)
			continue
		}
		writes, written = append(writes, *w), append(written, r)
	}
	for len(writes) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), writeFor)
		_, errs := n.b.WriteAll(ctx, writes)
		cancel()
		var again []broker.Write
		var left []*result
		var failed error
		for i, r := range written {
			err := errs[i]
			if errors.Is(err, broker.ErrConflict) {
				if writes[i].Expect, err = n.reread(r.h, writes[i].Data); err == nil && writes[i].Expect > 0 {
					again, left = append(again, writes[i]), append(left, r)
					continue
				}
			}
			switch {
			case err == nil && errs[i] == nil:
				n.settleRecord(r.h.d, &r.h.task)
				n.forget(r.h)
			case err == nil:
				n.forget(r.h)
			case errors.Is(err, broker.ErrTooLarge), errors.Is(err, broker.ErrFull) && n.hard.Err() != nil, errors.Is(err, broker.ErrClosed):
				n.log.Error("the result of a task cannot be written: it will run again", "task", r.h.id, "error", err)
				n.forget(r.h)
			default:
				again, left, failed = append(again, writes[i]), append(left, r), err
			}
		}
		writes, written = again, left
		if failed == nil {
			continue
		}
		n.log.Warn("results cannot be written for now", "tasks", len(writes), "error", failed)
		if n.hard.Err() != nil { // the leases end, and others run them again
			for _, r := range written {
				n.forget(r.h)
			}
			return
		}
		n.sleep(time.Second)
	}
}

// reread looks why a result met another record than that of the claim. Where it is still
// of the claim, rev is what it is to be written over; 0 is that there is nothing to write.
func (n *Node) reread(h *held, data []byte) (rev uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeFor)
	defer cancel()
	r, err := n.b.Get(ctx, tasks.TaskSubject(h.task.Job, h.task.N))
	if err != nil && !errors.Is(err, broker.ErrNotFound) {
		return h.task.Rev, err
	}
	if bytes.Equal(r.Data, data) { // by a write that seemed to fail
		n.settleRecord(h.d, &h.task)
		return 0, nil
	}
	var now tasks.Task
	if err == nil && json.Unmarshal(r.Data, &now) == nil {
		if now.State == tasks.Running && now.Lease != nil && now.Lease.Nonce == h.nonce {
			return r.Seq, nil // its process was noted by a write that seemed to fail
		}
		if now.State.Final() {
			n.ack(h.d)
		}
	}
	// Cancelled, or taken over: the record is not ours to end any more.
	n.log.Info("the result of a task is dropped: its record has changed", "task", h.id, "worker", n.o.ID)
	n.note("FENCED", h.id)
	return 0, nil
}
