package node

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nuid"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/trace"
)

const (
	// aheadTime is how much work is claimed before an R process is free for it, so that
	// short tasks are claimed, and their results written, in groups.
	aheadTime = 20 * time.Millisecond
	maxAhead  = 500
	// shortTask is how long a task may take, on average, for one more to be claimed for
	// each R process.
	shortTask = 200 * time.Millisecond
	// longTask is when the process that runs a task is worth a write of its record.
	longTask = 2 * time.Second
	// maxWriting is how many results may wait to be written before no more is claimed.
	maxWriting = 2000
	// patience is how long what was claimed ahead waits for an R process before it is
	// given back, since somebody else may have one.
	patience = 2 * time.Second
	// pausedFor is how long a message of a queue that is paused rests.
	pausedFor = time.Second
	// askFor is how long a worker that seems to have a task has to say so.
	askFor = time.Second
)

// held is a task that this worker has claimed.
type held struct {
	id     string
	d      *broker.Delivery
	job    *job
	env    string             // name@version that the task runs in
	doc    *tasks.Environment // env as it was at the claim; nil where there was none
	before []byte             // its record before the claim, for undoing it; nil where it cannot be
	since  time.Time          // of the claim
	nonce  string             // of the lease
	took   time.Duration
	span   trace.Span // of the attempt
	done   time.Time  // when R was, and what it returned was kept

	rec  sync.Mutex // once claimed, held by who changes task and its record
	task tasks.Task

	// Guarded by Node.mu.
	begun  bool      // R has it, or had
	at     time.Time // when R got it
	pid    int       // of R
	noted  bool      // its record has pid, or was to have it
	ending bool      // its result is being written
	cause  error     // why it is not ours any more
	cancel func(error)
}

// claimTasks pulls work and claims it until the worker drains.
func (n *Node) claimTasks() error {
	for {
		room, ctx := n.room()
		if room == 0 {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.stopped
		}
		ds, err := n.lanes.Next(ctx, room)
		over := ctx.Err() != nil
		n.pulled()
		if len(ds) > 0 {
			n.claim(ds)
		}
		switch {
		case err == nil, over:
		case errors.Is(err, broker.ErrClosed):
			n.drain(err)
			n.kill(errStopped) // what runs could not be written down
		default:
			n.log.Warn("no work for now", "error", err)
			n.sleep(time.Second)
		}
	}
}

// sleep waits for d, or until the worker drains.
func (n *Node) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.hard.Done():
	}
}

// room waits until there is some for more tasks, and is how many; 0 when no more are to
// be claimed. The context ends when that changes.
func (n *Node) room() (int, context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		if n.draining {
			return 0, nil
		}
		most := n.base.Max + n.ahead()
		have := n.busy + len(n.ready)
		// Few at a time would be slower than to wait for more.
		if want := most - have; !n.pausing && n.writing < maxWriting && want > 0 && (want >= most/2 || len(n.ready) == 0) {
			ctx, cancel := context.WithCancel(n.hard)
			n.pull = cancel
			return want, ctx
		}
		n.changed.Wait()
	}
}

// pulled ends the context of room.
func (n *Node) pulled() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pull()
	n.pull = nil
}

// ahead is how many tasks are claimed beyond those that R processes are free for. n.mu
// is held.
func (n *Node) ahead() int {
	if n.mean == 0 {
		return 0
	}
	ahead := n.base.Max * int(aheadTime/n.mean)
	if n.mean < shortTask {
		ahead = max(ahead, n.base.Max)
	}
	return min(ahead, maxAhead)
}

// claim looks up what was delivered, and claims what can be.
func (n *Node) claim(ds []*broker.Delivery) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.hard), writeFor)
	defer cancel()
	found, err := n.lookUp(ctx, ds)
	if err != nil {
		n.log.Warn("work cannot be claimed for now", "tasks", len(ds), "error", err)
		for _, d := range ds {
			n.nak(d, time.Second)
		}
		return
	}
	now := time.Now().UTC()
	lease := tasks.Lease{Worker: n.o.ID, Host: n.o.Host, Since: now}
	n.settleLost(ctx, found)
	var claims []*held
	var writes []broker.Write
	for _, f := range found {
		h, w := n.take(f, lease, now)
		if w == nil {
			continue
		}
		claims, writes = append(claims, h), append(writes, *w)
	}
	if len(writes) == 0 {
		return
	}
	n.claiming(claims)
	seqs, errs := n.b.WriteAll(ctx, writes)
	var mine []*held
	for i, h := range claims {
		if errs[i] != nil && !n.wrote(ctx, h, &seqs[i], errs[i]) {
			n.nak(h.d, 100*time.Millisecond)
			n.jobs.release(h.job)
			continue
		}
		h.task.Rev = seqs[i]
		if h.task.State != tasks.Running { // taken from a worker that was lost once too often, or to rest
			n.settleRecord(h.d, &h.task)
			n.jobs.release(h.job)
			continue
		}
		mine = append(mine, h)
	}
	n.claimed(ctx, mine)
}

// claimed takes in tasks whose claims have been written.
func (n *Node) claimed(ctx context.Context, mine []*held) {
	n.mu.Lock()
	for _, h := range mine {
		n.held[h.id] = h
		n.ready = append(n.ready, h)
	}
	asked := n.asked
	n.writes, n.asked = nil, nil
	back := n.takeBack(n.unwanted)
	n.last = time.Now()
	n.changed.Broadcast()
	n.mu.Unlock()
	n.undo(back)
	if len(asked) > 0 { // somebody has changed them between the write and now
		n.recheck(ctx, asked)
	}
}

// claiming says which tasks are being claimed.
func (n *Node) claiming(claims []*held) {
	ids := make(map[string]bool, len(claims))
	for _, h := range claims {
		ids[h.id] = true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writes, n.asked = ids, nil
}

// wrote finds out whether a claim whose write failed is in the record all the same.
func (n *Node) wrote(ctx context.Context, h *held, seq *uint64, err error) bool {
	r, err2 := n.b.Get(ctx, tasks.TaskSubject(h.task.Job, h.task.N))
	if err2 != nil {
		if !errors.Is(err, broker.ErrConflict) && !errors.Is(err2, broker.ErrNotFound) {
			n.log.Warn("a task cannot be claimed", "task", h.id, "error", err)
		}
		return false
	}
	var now tasks.Task
	if json.Unmarshal(r.Data, &now) != nil || now.Lease == nil || h.task.Lease == nil || now.Lease.Nonce != h.task.Lease.Nonce {
		return false
	}
	*seq = r.Seq
	return true
}

// found is a delivery with what its record says.
type found struct {
	d    *broker.Delivery
	rec  broker.Record
	task tasks.Task
	job  *job
	env  string
	doc  *tasks.Environment
	lost bool // RUNNING, and its worker does not have it
}

// take claims one task on paper. It has dealt with what cannot be claimed where there
// is nothing to write.
func (n *Node) take(f *found, lease tasks.Lease, now time.Time) (*held, *broker.Write) {
	t := &f.task
	switch {
	case t.State == tasks.Running && !f.lost:
		n.nak(f.d, n.o.AckWait)
		n.jobs.release(f.job)
		return nil, nil
	case t.State == tasks.Pending && t.NotBefore.After(now):
		n.nak(f.d, t.NotBefore.Sub(now))
		n.jobs.release(f.job)
		return nil, nil
	}
	h := &held{id: t.ID(), d: f.d, job: f.job, env: f.env, doc: f.doc, before: f.rec.Data, since: now}
	lease.Nonce = nuid.Next()
	wasRunning := t.State == tasks.Running
	if _, err := t.Take(f.job.Job, lease, now); err != nil {
		n.log.Error("a task cannot be claimed", "task", h.id, "error", err)
		n.nak(f.d, n.o.AckWait)
		n.jobs.release(f.job)
		return nil, nil
	}
	if wasRunning {
		h.before = nil // it cannot be undone: the attempt that was lost counts
	}
	h.task, h.nonce = *t, lease.Nonce
	return h, n.write(t, f.rec.Seq)
}

// write is that of a record. It has no time to live: the leader of the queue deletes what
// has expired, since a task that is only missing counts as one that was never written.
func (n *Node) write(t *tasks.Task, rev uint64) *broker.Write {
	data, err := json.Marshal(t)
	if err != nil { // a time out of range; nothing of R's comes here but bytes and text
		n.log.Error("a record cannot be written", "task", t.ID(), "error", err)
		return nil
	}
	return &broker.Write{Subject: tasks.TaskSubject(t.Job, t.N), Data: data, Expect: rev}
}

// settleRecord deals with the message of a task that this worker does not run.
func (n *Node) settleRecord(d *broker.Delivery, t *tasks.Task) {
	switch {
	case t.State.Final(), t.State == tasks.Deferred, t.Held:
		n.ack(d)
	case t.State == tasks.Pending:
		n.nak(d, time.Until(t.NotBefore))
	default:
		n.nak(d, n.o.AckWait)
	}
}

func (n *Node) ack(d *broker.Delivery) {
	if err := d.Ack(); err != nil { // it is delivered again, and the record says that there is nothing to do
		n.log.Debug("work was not acknowledged", "error", err)
	}
}

func (n *Node) nak(d *broker.Delivery, delay time.Duration) {
	if err := d.Nak(delay); err != nil { // it is delivered again after AckWait
		n.log.Debug("work was not given back", "error", err)
	}
}
