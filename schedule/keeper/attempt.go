package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/trace"
)

const (
	maxError  = 8 << 10   // bytes of an error in a record
	maxReport = 512 << 10 // bytes of a report in a record
	maxFiles  = 1000
	maxSaid   = 256 << 10 // bytes of a line of a log
	// maxLine is how many of them are one message. The broker cuts what is longer than
	// MaxLog, and JSON makes six bytes of some.
	maxLine = broker.MaxLog / 8
)

// LogStream is the stream of the lines of a run's log that neither R nor a worker wrote.
const LogStream = "run"

// attempt is one that this server has under way.
type attempt struct {
	cancel context.CancelCauseFunc
	seq    uint64 // of the record with which it began
}

// attempt runs what a run's record says that this server runs.
func (k *Keeper) attempt(e *entry, run *schedule.Run) {
	ctx, cancel := context.WithCancelCause(k.work)
	k.mu.Lock()
	if k.closed || k.running[run.ID] != nil { // Close leaves it to the next
		k.mu.Unlock()
		cancel(nil)
		return
	}
	a := &attempt{cancel: cancel}
	if now := k.mirror.runs[run.ID]; now != nil {
		a.seq = now.seq
		if now.Stop != "" {
			cancel(ErrCanceled)
		}
	}
	k.running[run.ID] = a
	k.works.Go(func() {
		defer cancel(nil)
		k.do(ctx, e, run)
		k.mu.Lock()
		delete(k.running, run.ID)
		k.mu.Unlock()
		k.nudge()
	})
	k.mu.Unlock()
}

// do runs an attempt to its end, and writes down what came of it.
func (k *Keeper) do(ctx context.Context, e *entry, run *schedule.Run) {
	if d := time.Duration(e.Timing.Timeout); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, run.Started.Add(d).Sub(k.now()), ErrTimeout)
		defer cancel()
	}
	// What is written outlives the work, which a cancelled context has ended.
	keep := context.WithoutCancel(ctx)
	log := func(line string) { k.say(keep, run, line) }
	tell := func(o schedule.Outcome) {
		err := k.changeRun(keep, run, func(now *schedule.Run) error {
			if !k.holds(now, run) {
				return errUnchanged
			}
			now.Outcome = trimmed(o)
			return nil
		})
		if err != nil {
			k.log.Warn("schedules: what a run has told is not kept", "schedule", run.Schedule, "run", run.ID, "err", err)
		}
	}
	if run.Taken > 0 {
		log(fmt.Sprintf("attempt %d goes on at another server: the one before is gone", run.Attempt))
	} else {
		log(fmt.Sprintf("attempt %d, for %s", run.Attempt, stamp(run.Scheduled)))
	}
	given := *run
	ctx, span := k.o.Tracer.Start(ctx, "schedule", trace.Internal)
	if span.On() {
		span.Set(trace.String("rpipe.schedule", run.Schedule), trace.String("rpipe.run", run.ID), trace.Int("rpipe.attempt", run.Attempt),
			trace.String("rpipe.scheduled", stamp(run.Scheduled)))
	}
	err := protect(func() error { return e.Work.Run(ctx, &given, tell, log) })
	span.End(err)
	cause := context.Cause(ctx)
	if err != nil && errors.Is(cause, ErrHandover) {
		log("this server leaves it to another, or to its next start")
		k.flush(keep)
		k.leave(keep, run)
		return
	}
	hit("ended")
	k.finish(keep, e, run, err, cause, log)
}

// say adds a line to the log of a run, in pieces where it is long.
func (k *Keeper) say(ctx context.Context, run *schedule.Run, line string) {
	line = strings.ToValidUTF8(line, "\uFFFD")
	if len(line) > maxSaid {
		line = strings.ToValidUTF8(line[:maxSaid], "") + " …"
	}
	for more := true; more; more = line != "" {
		text := line
		if len(text) > maxLine {
			text = strings.ToValidUTF8(text[:maxLine], "") // not a part of a character
		}
		line = line[len(text):]
		data, err := json.Marshal(tasks.Told{Attempt: run.Attempt, Lines: []tasks.ToldLine{{Time: time.Now().UTC(), Stream: LogStream, Text: text}}})
		if err == nil {
			err = k.broker.Log(ctx, run.ID, 0, data)
		}
		if err != nil {
			k.log.Warn("schedules: a line of a run's log is lost", "schedule", run.Schedule, "run", run.ID, "err", err)
			return
		}
	}
}

// holds reports whether the record of a run says that this server has the attempt.
func (k *Keeper) holds(now, run *schedule.Run) bool {
	return now.State == schedule.Running && now.Server == k.o.Server && now.Attempt == run.Attempt
}

// protect makes an error of a panic.
func protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

func trimmed(o schedule.Outcome) schedule.Outcome {
	if len(o.Error) > maxError {
		o.Error = o.Error[:maxError] + " …"
	}
	if len(o.Report) > maxReport {
		o.Report = nil
	}
	o.Files = o.Files[:min(len(o.Files), maxFiles)]
	return o
}

// finish writes down how an attempt ended.
func (k *Keeper) finish(ctx context.Context, e *entry, run *schedule.Run, err, cause error, log func(string)) {
	var now *schedule.Run
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		failed := k.changeRun(ctx, run, func(r *schedule.Run) error {
			if now = r; !k.holds(r, run) {
				return errUnchanged
			}
			k.settle(e, r, err, cause)
			return nil
		})
		if failed == nil || errors.Is(failed, ErrMissing) || errors.Is(failed, broker.ErrClosed) {
			break
		}
		k.log.Warn("schedules: the end of a run is not kept yet", "schedule", run.Schedule, "run", run.ID, "err", failed)
		select {
		case <-time.After(pause):
		case <-k.work.Done(): // the next server does it again
			return
		}
	}
	if now == nil {
		return
	}
	text := string(now.State)
	if err != nil {
		text += ": " + trimmed(schedule.Outcome{Error: err.Error()}).Error
	}
	if now.State == schedule.Retrying {
		text += fmt.Sprintf("; attempt %d at %s", now.Attempt+1, stamp(now.NotBefore))
	}
	log(text)
	k.flush(ctx)
}

// settle changes the record of a run by how its attempt ended.
func (k *Keeper) settle(e *entry, r *schedule.Run, err, cause error) {
	r.Server, r.Ended = "", k.now()
	if err != nil {
		r.Error = trimmed(schedule.Outcome{Error: err.Error()}).Error
	}
	switch {
	case err == nil:
		r.State, r.Error = schedule.Complete, ""
		k.mu.Lock()
		t := k.mirror.timers[r.Schedule]
		r.Passed = t != nil && !t.Failing && !k.precedes(r.Schedule) && !k.unpassed(r.Schedule)
		k.mu.Unlock()
		return
	case errors.Is(cause, ErrCanceled):
		r.State, r.Reason, r.Error = schedule.Canceled, "by "+r.Stop, ""
		return
	case errors.Is(cause, ErrTimeout):
		r.State = schedule.TimedOut
		r.Error = fmt.Sprintf("it has taken longer than its timeout, %s", time.Duration(e.Timing.Timeout))
	default:
		r.State = schedule.Error
	}
	switch {
	case r.Attempt > e.Timing.Retries:
	case r.Stop != "": // somebody has cancelled it as it failed
		r.State, r.Reason, r.Error = schedule.Canceled, "by "+r.Stop, ""
	default:
		r.State, r.NotBefore, r.Ended = schedule.Retrying, k.now().Add(e.Timing.Retry(r.Attempt)), time.Time{}
	}
}

// precedes reports whether another schedule comes after this one. k.mu is held.
func (k *Keeper) precedes(name string) bool {
	for _, e := range k.entries {
		for _, before := range e.Timing.After {
			if before == name {
				return true
			}
		}
	}
	return false
}

// unpassed reports whether what comes after the end of a run of a schedule is still to be
// done: when it is, the schedule may be failing. k.mu is held.
func (k *Keeper) unpassed(name string) bool {
	for _, r := range k.mirror.of[name] {
		if r.State.Final() && !r.Passed {
			return true
		}
	}
	return false
}

// leave says that nobody runs it now, so that the next leader does at once.
func (k *Keeper) leave(ctx context.Context, run *schedule.Run) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := k.changeRun(ctx, run, func(now *schedule.Run) error {
		if !k.holds(now, run) {
			return errUnchanged
		}
		now.Server = ""
		return nil
	})
	if err != nil { // the next leader finds out by itself
		k.log.Debug("schedules: a run is left without saying so", "run", run.ID, "err", err)
	}
}

func (k *Keeper) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := k.broker.FlushLog(ctx); err != nil {
		k.log.Debug("schedules: logs may not be stored yet", "err", err)
	}
}
