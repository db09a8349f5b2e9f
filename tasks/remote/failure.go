package remote

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// failure is the error of rpool's that says why a task has no value.
func (p *Pool) failure(t *api.Task, req *rpool.Request, printed string) error {
	f := t.Failure
	if f == nil {
		f = &api.Failure{Message: "nothing is known of the cause"}
	}
	switch tasks.State(t.State) {
	case tasks.Timeout:
		step := "its worker"
		if signal := signalName.FindString(f.Message); signal != "" {
			step = signal
		}
		return &rpool.TimeoutError{After: req.Timeout, Step: step}
	case tasks.Error:
		if f.Cause == tasks.CauseStart {
			return &rpool.StartError{Step: "load what the r block says, on a worker of queue " + p.o.Queue, Err: errors.New(f.Message)}
		}
		e := &rpool.ConditionError{
			Classes: f.Classes, Message: f.Message, Call: f.Call, Traceback: users(f.Traceback),
			Warnings: t.Warnings, Output: printed,
		}
		if u := t.Usage; u != nil {
			e.User, e.System = time.Duration(u.User), time.Duration(u.System)
		}
		return e
	case tasks.Died:
		return died(t, f)
	case tasks.Cancelled:
		return fmt.Errorf("task %s of queue %s was cancelled by %s", t.ID, p.o.Queue, t.By)
	case tasks.Missing:
		return fmt.Errorf("task %s has gone from queue %s: somebody has deleted it, or the queue was purged", t.ID, p.o.Queue)
	}
	return fmt.Errorf("task %s of queue %s is %s: %s", t.ID, p.o.Queue, t.State, f.Message)
}

var (
	signalName = regexp.MustCompile(`\bSIG[A-Z0-9]+\b`)
	exitStatus = regexp.MustCompile(`exited with status (\d+)`)
)

// died says what happened to the process, or to the machine that it was on. The message
// is that of such an error there, where the process died.
func died(t *api.Task, f *api.Failure) error {
	e := &rpool.DiedError{ExitStatus: -1, OutOfMemory: f.Cause == tasks.CauseMemory, OverCPU: f.Cause == tasks.CauseCPU}
	what, output, _ := strings.Cut(f.Message, "; its last output: ")
	switch f.Cause {
	case tasks.CauseSignal:
		e.Signal = signalName.FindString(what)
	case tasks.CauseExit:
		if m := exitStatus.FindStringSubmatch(what); m != nil {
			e.ExitStatus, _ = strconv.Atoi(m[1]) // digits
		}
	case tasks.CauseMemory, tasks.CauseCPU:
	default:
		output = what
	}
	if n := len(t.Past); n > 0 {
		last := t.Past[n-1]
		e.Pid = last.Pid
		output = strings.TrimSpace(fmt.Sprintf("%s (worker %s on %s)", output, last.Worker, last.Host))
	}
	if u := t.Usage; u != nil {
		e.RSS = int64(u.PeakRSS)
	}
	e.Stderr = output
	return e
}

// users are the calls of a traceback that are not of map.R: those after its eval().
func users(traceback []string) []string {
	at := slices.IndexFunc(traceback, func(call string) bool { return strings.HasPrefix(call, "eval(call, scratch)") })
	if at < 0 { // map.R itself
		return nil
	}
	rest := traceback[at+1:]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "eval(") {
		rest = rest[1:]
	}
	return rest
}
