package node

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// renew keeps the leases of what is held, looks whether it is still this worker's, and
// gives back what has waited too long for an R process.
func (n *Node) renew(ctx context.Context) {
	lease := time.NewTicker(n.o.AckWait / 3)
	defer lease.Stop()
	wait := time.NewTicker(patience / 4)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-lease.C:
			n.renewAll(ctx)
		case <-wait.C:
			n.giveUpWaiting()
			n.notePids(ctx)
		}
	}
}

func (n *Node) renewAll(ctx context.Context) {
	n.mu.Lock()
	all := make([]*held, 0, len(n.held))
	for _, h := range n.held {
		all = append(all, h)
	}
	n.mu.Unlock()
	for _, h := range all {
		if err := h.d.Extend(); err != nil {
			n.log.Warn("a lease was not renewed", "task", h.id, "error", err)
			break
		}
	}
	n.check(ctx, all)
}

// check reads the records of tasks here, and stops those that are not this worker's any
// more: cancelled, or taken by another.
func (n *Node) check(ctx context.Context, all []*held) {
	for len(all) > 0 {
		some := all[:min(len(all), recordsAtOnce)]
		all = all[len(some):]
		subjects := make([]string, len(some))
		for i, h := range some {
			subjects[i] = tasks.TaskSubject(h.d.Job, h.d.N)
		}
		records, err := n.b.GetAll(ctx, subjects)
		if err != nil {
			if ctx.Err() == nil {
				n.log.Warn("tasks cannot be looked at for now", "tasks", len(some), "error", err)
			}
			return
		}
		for i, h := range some {
			var now tasks.Task
			if r := records[i]; r.Data != nil && json.Unmarshal(r.Data, &now) != nil {
				continue
			}
			n.judge(h, &now)
		}
	}
}

// judge stops h where its record says that it is not this worker's.
func (n *Node) judge(h *held, now *tasks.Task) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case h.ending || n.held[h.id] != h || h.cause != nil:
		return
	case now.State == tasks.Running && now.Lease != nil && now.Lease.Nonce == h.nonce:
		return
	case now.State == tasks.Cancelled:
		h.cause = errCancelled
	default: // or it is deleted
		h.cause = errFenced
	}
	if h.cancel != nil {
		h.cancel(h.cause)
	}
}

// recheck is check of those of ids that are here.
func (n *Node) recheck(ctx context.Context, ids []string) {
	var some []*held
	n.mu.Lock()
	for _, id := range ids {
		switch h := n.held[id]; {
		case h != nil:
			some = append(some, h)
		case n.writes[id]: // it is looked at once the claim is known
			n.asked = append(n.asked, id)
		}
	}
	n.mu.Unlock()
	n.check(ctx, some)
}

// notePids writes into the records of tasks that have run for a while which process has
// them.
func (n *Node) notePids(ctx context.Context) {
	now := time.Now()
	n.mu.Lock()
	var some []*held
	for _, h := range n.held {
		if h.pid != 0 && !h.noted && !h.ending && h.cause == nil && now.Sub(h.at) >= longTask {
			h.noted = true
			some = append(some, h)
		}
	}
	n.mu.Unlock()
	for _, h := range some {
		n.notePid(ctx, h)
	}
}

func (n *Node) notePid(ctx context.Context, h *held) {
	h.rec.Lock()
	defer h.rec.Unlock()
	n.mu.Lock()
	ending, pid := h.ending, h.pid
	n.mu.Unlock()
	if ending {
		return
	}
	t := h.task
	lease := *t.Lease
	lease.Pid = pid
	t.Lease = &lease
	w := n.write(&t, t.Rev)
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeFor)
	defer cancel()
	if seq, err := n.b.Write(ctx, *w); err == nil || n.wrote(ctx, h, &seq, err) {
		t.Rev = seq
		h.task = t
	}
}

// giveUpWaiting gives back what was claimed for R processes that have been busy for
// longer than was to be expected.
func (n *Node) giveUpWaiting() {
	old := time.Now().Add(-patience)
	waits := func(h *held) bool { return h.since.Before(old) }
	n.mu.Lock()
	back := n.takeBack(waits)
	if len(back) > 0 {
		n.mean = 0 // claim no more ahead until it is known anew
	}
	n.mu.Unlock()
	n.undo(back)
}
