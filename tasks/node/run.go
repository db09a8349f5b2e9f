package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/trace"
)

// runTasks runs what is ready, one task at a time, until the worker has drained.
func (n *Node) runTasks() {
	for h := n.next(); h != nil; h = n.next() {
		out := n.run(h)
		n.ran(h)
		switch {
		case out != nil:
			n.finish(h, out)
		default:
			n.dropped(h)
		}
	}
}

// next waits for a task that is ready; nil when there will be none.
func (n *Node) next() *held {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.ready) == 0 {
		if n.draining {
			return nil
		}
		n.changed.Wait()
	}
	h := n.ready[0]
	n.ready = n.ready[1:]
	h.begun = true
	n.busy++
	n.load.set(n.busy)
	return h
}

// ran books a task that has left R.
func (n *Node) ran(h *held) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.busy--
	n.load.set(n.busy)
	n.done++
	h.cancel = nil
	if h.took > 0 {
		if n.mean == 0 {
			n.mean = h.took
		}
		n.mean = max(n.mean+(h.took-n.mean)/8, time.Microsecond)
	}
	n.changed.Broadcast()
}

// run runs a task; nil where it is not this worker's any more.
func (n *Node) run(h *held) *tasks.Outcome {
	ctx, cancel := context.WithCancelCause(n.hard)
	defer cancel(nil)
	n.mu.Lock()
	mine := h.cause == nil
	h.cancel = cancel
	n.mu.Unlock()
	if !mine {
		return nil
	}
	if n.o.LogTasks {
		n.note("TASK_START", h.id)
	}
	ctx = n.begin(ctx, h)
	out := n.perform(ctx, h)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errCancelled), errors.Is(cause, errFenced):
		out = nil
	case ctx.Err() != nil && out.Cause != tasks.CauseDone:
		out = &tasks.Outcome{Cause: tasks.CauseWorker, Failure: stopFailure, Pid: out.Pid}
	}
	h.judge(out, context.Cause(ctx))
	if n.o.LogTasks {
		if out == nil {
			n.note("TASK_DROPPED", h.id)
		} else {
			n.note("TASK_END", h.id+" "+out.Cause)
		}
	}
	return out
}

// perform has R do it.
func (n *Node) perform(ctx context.Context, h *held) *tasks.Outcome {
	env, call, done, err := n.prepare(ctx, h)
	if err != nil {
		return unprepared(err)
	}
	defer done()
	j := h.job
	told := &told{n: n, job: h.task.Job, number: h.task.N, attempt: h.task.Attempt}
	r := &rpool.Request{
		Kind: rpool.Task, Task: call, Timeout: j.Timeout, Isolate: j.Isolate, Memory: j.Memory, CPU: j.CPU,
		Events: told.take, Label: h.id,
		Began: func(pid int) {
			n.mu.Lock()
			defer n.mu.Unlock()
			h.at, h.pid = time.Now(), pid
		},
	}
	if j.Seed != nil {
		seed := rpool.SeedAt(*j.Seed, uint64(number(&h.task)))
		r.Seed = &seed
	}
	var trace rpool.Trace
	r.Trace = &trace
	reply, err := n.pool.Do(ctx, env, n.o.Priority, r)
	told.end()
	h.took = trace.Run // less the wait for R
	if err != nil {
		_ = os.Remove(call.Result)
		out := outcome(err)
		if out.Pid == 0 {
			out.Pid = trace.Pid
		}
		return out
	}
	out := &tasks.Outcome{
		Cause: tasks.CauseDone, Pid: reply.Pid, Warnings: shortened(reply.Warnings),
		Usage: tasks.Usage{User: reply.User, System: reply.System, PeakRSS: reply.PeakRSS},
	}
	if out.Result, err = n.keep(ctx, reply); err != nil {
		err = fmt.Errorf("the result cannot be kept: %w", err)
		if away := new(awayError); errors.As(err, &away) {
			return failed(tasks.CauseValues, err)
		}
		return failed(tasks.CauseError, err)
	}
	return out
}

// unprepared is the outcome of a task that R has not seen.
func unprepared(err error) *tasks.Outcome {
	var gone *goneError
	var away *awayError
	switch {
	case errors.As(err, &gone):
		out := failed(tasks.CauseParent, gone)
		out.Failure.Tasks = []string{gone.id}
		return out
	case errors.As(err, &away):
		return failed(tasks.CauseValues, err)
	}
	return failed(tasks.CauseStart, err)
}

// prepare gets what R is asked, and what it has loaded before.
func (n *Node) prepare(ctx context.Context, h *held) (env *rpool.Environment, call *rpool.TaskCall, done func(), err error) {
	ctx, span := trace.Start(ctx, "values get")
	defer func() { span.End(err) }()
	if env, err = n.environment(ctx, h); err != nil {
		return nil, nil, nil, err
	}
	call, done, err = n.call(ctx, h)
	return env, call, done, err
}

func (n *Node) environment(ctx context.Context, h *held) (*rpool.Environment, error) {
	if h.job.envErr != nil {
		return nil, h.job.envErr
	}
	switch {
	case h.doc != nil:
		return n.envs.get(ctx, h.doc)
	case h.env == envKey(tasks.DefaultEnv, 0):
		return n.envs.get(ctx, &tasks.Environment{Name: tasks.DefaultEnv})
	}
	return nil, fmt.Errorf("environment %s: there is none of this name and version: rpipe env set makes one", h.env)
}

// keep is a result as it stands in a record: what is large is a blob.
func (n *Node) keep(ctx context.Context, reply *rpool.Reply) (tasks.Value, error) {
	v := tasks.Value{Size: reply.Size}
	if reply.File == "" && len(reply.Data) <= tasks.MaxInline {
		v.Data = reply.Data
		return v, nil
	}
	ctx, span := trace.Start(ctx, "value put")
	if span.On() {
		span.Set(trace.Int64("rpipe.value.bytes", reply.Size))
	}
	err := n.patiently(ctx, func() (err error) {
		if reply.File == "" {
			v.Ref, err = n.s.PutBytes(ctx, reply.Data)
			return err
		}
		f, err := os.Open(reply.File)
		if err != nil {
			return err
		}
		defer f.Close()
		v.Ref, v.Size, err = n.s.Put(ctx, f)
		return err
	})
	span.End(err)
	if reply.File != "" {
		_ = os.Remove(reply.File)
	}
	return v, err
}

// storeFor is how long values are tried to be read and written: what an hour has taken is
// not lost to a store that is away for a moment, nor are all tasks that wait.
var storeFor = time.Minute // a variable for tests

// awayError says that the store of values cannot be reached, for now.
type awayError struct{ err error }

func (e *awayError) Error() string { return "values cannot be reached: " + e.err.Error() }
func (e *awayError) Unwrap() error { return e.err }

// patiently calls f until it succeeds, fails for good, or storeFor is over: then it is an
// awayError.
func (n *Node) patiently(ctx context.Context, f func() error) error {
	began, wait := time.Now(), 250*time.Millisecond
	for {
		err := f()
		if err == nil || ctx.Err() != nil || permanent(err) {
			return err
		}
		if time.Since(began) > storeFor {
			return &awayError{err}
		}
		n.log.Warn("values cannot be reached for now", "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func permanent(err error) bool {
	return errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrTooLarge) || errors.Is(err, blob.ErrCorrupt)
}

// outcome is how an attempt ended that err says the end of.
func outcome(err error) *tasks.Outcome {
	var (
		condition *rpool.ConditionError
		late      *rpool.TimeoutError
		died      *rpool.DiedError
		start     *rpool.StartError
	)
	switch {
	case errors.As(err, &condition):
		out := failed(tasks.CauseError, err)
		out.Failure.Message, out.Failure.Classes = condition.Message, condition.Classes
		out.Failure.Call, out.Failure.Traceback = condition.Call, condition.Traceback
		out.Warnings = shortened(condition.Warnings)
		out.Usage = tasks.Usage{User: condition.User, System: condition.System}
		return out
	case errors.As(err, &late):
		return failed(tasks.CauseTimeout, err)
	case errors.As(err, &died):
		cause := tasks.CauseExit
		switch {
		case died.OutOfMemory:
			cause = tasks.CauseMemory
		case died.OverCPU:
			cause = tasks.CauseCPU
		case died.Signal != "":
			cause = tasks.CauseSignal
		}
		out := failed(cause, err)
		out.Pid, out.Usage.PeakRSS = died.Pid, died.RSS
		return out
	case errors.As(err, &start):
		if start.Step == "fork" || start.Step == "hello" { // not the environment's fault
			return failed(tasks.CauseExit, err)
		}
		return failed(tasks.CauseStart, err)
	case errors.Is(err, rpool.ErrClosed), errors.Is(err, rpool.ErrQueueFull), errors.Is(err, rpool.ErrQueueWait):
		return failed(tasks.CauseWorker, err)
	}
	return failed(tasks.CauseError, err)
}

func failed(cause string, err error) *tasks.Outcome {
	return &tasks.Outcome{Cause: cause, Failure: &tasks.Failure{Cause: cause, Message: err.Error()}}
}

// shortened are warnings of a length for a record.
func shortened(warnings []string) []string {
	const most = 1000
	for i, w := range warnings {
		if len(w) > most {
			warnings[i] = strings.ToValidUTF8(w[:most], "") + "..."
		}
	}
	return warnings
}

// dropped lets go of a task that is somebody else's, or nobody's.
func (n *Node) dropped(h *held) {
	n.mu.Lock()
	cause := h.cause
	n.mu.Unlock()
	if errors.Is(cause, errCancelled) {
		n.ack(h.d)
	}
	n.forget(h)
}
