package tasks

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestLife holds what is true of a task whatever happens to it, in any order.
func TestLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := &Job{ID: "01jd3x7v9qk2m4n6p8r0s2t4v6", N: 3, Owner: "ann", Queue: "q", Created: noon}
		j.Retry = Retry{
			Errors:   rapid.IntRange(0, 3).Draw(t, "errors"),
			Timeouts: rapid.IntRange(0, 3).Draw(t, "timeouts"),
			Lost:     rapid.IntRange(0, 4).Draw(t, "lost"),
		}
		if rapid.Bool().Draw(t, "depends") {
			j.DependsOn = []string{"01jd3x7v9qk2m4n6p8r0s2t4v5"}
		}
		now, task := noon, j.New(2)
		begun, stopped := 0, 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Minute)
			was := *task
			what := rapid.SampledFrom([]string{"claim", "take", "done", "error", "timeout", "signal", "worker", "cancel", "release", "forbid", "allow", "move"}).Draw(t, "what")
			var err error
			claimed := false
			switch what {
			case "claim":
				err = task.Claim(Lease{Worker: "w", Nonce: "n", Since: now})
				claimed = err == nil
			case "take":
				claimed, err = task.Take(j, Lease{Worker: "v", Nonce: "m", Since: now}, now)
			case "done":
				err = task.Finish(j, Outcome{Cause: CauseDone, Result: Value{Data: []byte{1}, Size: 1}}, now)
			case "error":
				err = task.Finish(j, Outcome{Cause: CauseError, Failure: &Failure{Cause: CauseError, Message: "no"}}, now)
			case "timeout":
				err = task.Finish(j, Outcome{Cause: CauseTimeout, Failure: &Failure{Cause: CauseTimeout}}, now)
			case "signal":
				err = task.Finish(j, Outcome{Cause: CauseSignal, Failure: &Failure{Cause: CauseSignal}}, now)
			case "worker":
				if task.State == Running {
					stopped++
				}
				err = task.Finish(j, Outcome{Cause: CauseWorker}, now)
			case "cancel":
				err = task.Cancel("bob", now)
			case "release":
				err = task.Release()
			case "forbid":
				err = task.Forbid([]string{"x"}, false, now)
			case "allow":
				err = task.Allow()
			case "move":
				err = task.Move("y", "bob")
			}
			if claimed {
				begun++
			}
			var wrong *TransitionError
			switch {
			case err != nil && !errors.As(err, &wrong):
				t.Fatal(err)
			case err != nil && task.State != was.State && what != "take":
				t.Fatalf("%s failed, and the task went from %s to %s", what, was.State, task.State)
			case err == nil && !was.State.May(task.State) && what != "take":
				t.Fatalf("%s took the task from %s to %s", what, was.State, task.State)
			}
			check(t, task, j, begun, stopped)
		}
	})
}

func check(t *rapid.T, task *Task, j *Job, begun, stopped int) {
	if (task.State == Running) != (task.Lease != nil) {
		t.Fatalf("%s with lease %v", task.State, task.Lease)
	}
	if (task.State == Complete) != !task.Result.IsZero() && task.State != Moved {
		t.Fatalf("%s with result %v", task.State, task.Result)
	}
	if task.State.Failed() && task.Failure == nil {
		t.Fatalf("%s without a failure", task.State)
	}
	if task.State.Final() && task.Ended.IsZero() {
		t.Fatalf("%s has no end", task.State)
	}
	if task.Attempt != begun || len(task.Past) > MaxPast {
		t.Fatalf("%d attempts, %d past, and %d have begun", task.Attempt, len(task.Past), begun)
	}
	if most := max(j.Retry.Errors, 1); task.Errors > most {
		t.Fatalf("%d errors, of at most %d", task.Errors, most)
	}
	lost := j.Retry.Lost
	if lost == 0 {
		lost = 3
	}
	if task.Timeouts > max(j.Retry.Timeouts, 1) || task.Lost > lost {
		t.Fatalf("%d timeouts, %d times lost, with %+v", task.Timeouts, task.Lost, j.Retry)
	}
	if open := begun - task.Errors - task.Timeouts - task.Lost - stopped; open < 0 || open > 1 {
		t.Fatalf("%d attempts: %d errors, %d timeouts, %d times lost, %d times stopped", begun, task.Errors, task.Timeouts, task.Lost, stopped)
	}
}

// TestStates: final states lead nowhere but to MOVED, or back where a parent is retried.
func TestStates(t *testing.T) {
	for _, s := range States {
		for _, next := range follows[s] {
			if s.Final() && next != Moved && !(s == Impossible && next == Deferred) {
				t.Errorf("%s may become %s", s, next)
			}
		}
		if s.Retriable() != s.May(Moved) {
			t.Errorf("%s: retriable %v, may be moved %v", s, s.Retriable(), s.May(Moved))
		}
		if s.Failed() && !s.Final() {
			t.Errorf("%s has failed and is not final", s)
		}
	}
	if Missing.Known() || Missing.Final() {
		t.Error("MISSING is a state of records")
	}
}

// TestPauses: the second attempt waits for Delay, each further one twice as long.
func TestPauses(t *testing.T) {
	f := func(r Retry, cause string, want ...time.Duration) {
		t.Helper()
		j := &Job{ID: "j", N: 1, Retry: r}
		task, now := j.New(1), noon
		for i, w := range want {
			if err := task.Claim(Lease{Since: now}); err != nil {
				t.Fatal(err)
			}
			if err := task.Finish(j, Outcome{Cause: cause, Failure: &Failure{Cause: cause, Classes: []string{"simpleError"}}}, now); err != nil {
				t.Fatal(err)
			}
			if w < 0 {
				if !task.State.Failed() {
					t.Errorf("%+v: %s after attempt %d", r, task.State, i+1)
				}
				return
			}
			if got := task.NotBefore.Sub(now); task.State != Pending || got != w {
				t.Errorf("%+v: %s for %s after attempt %d, want %s", r, task.State, got, i+1, w)
			}
			now = now.Add(time.Hour)
		}
	}
	const end = -1
	f(Retry{}, CauseError, end)
	f(Retry{}, CauseTimeout, end)
	f(Retry{}, CauseHost, 0, 2*time.Second, end)
	f(Retry{Errors: 4}, CauseError, time.Second, 2*time.Second, 4*time.Second, end)
	f(Retry{Errors: 5, Delay: time.Minute, MaxDelay: 3 * time.Minute}, CauseError, time.Minute, 2*time.Minute, 3*time.Minute, 3*time.Minute, end)
	f(Retry{Errors: 5, Classes: []string{"http_error"}}, CauseError, end)
	f(Retry{Errors: 2, Classes: []string{"simpleError"}}, CauseError, time.Second, end)
	f(Retry{Lost: 1}, CauseSignal, end)
	f(Retry{}, CauseWorker, 0, 0, 0, 0, 0)
	f(Retry{}, CauseValues, 5*time.Second, 10*time.Second, 20*time.Second, 40*time.Second, 80*time.Second, 160*time.Second, 5*time.Minute, 5*time.Minute, 5*time.Minute, 5*time.Minute, 5*time.Minute, 5*time.Minute)
}

// TestShortened: a long message is cut between characters.
func TestShortened(t *testing.T) {
	if got, want := shortened("a"+strings.Repeat("é", 300), 500), "a"+strings.Repeat("é", 249)+"…"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTake: a task that RUNS is taken from its worker, or has been lost too often.
func TestTake(t *testing.T) {
	j := &Job{ID: "j", N: 1, Retry: Retry{Lost: 2}}
	task := j.New(1)
	take := func(worker string, now time.Time) bool {
		t.Helper()
		claimed, err := task.Take(j, Lease{Worker: worker, Since: now}, now)
		if err != nil {
			t.Fatal(err)
		}
		return claimed
	}
	if !take("a", noon) || !take("b", noon.Add(time.Minute)) {
		t.Errorf("%+v", task)
	}
	if task.State != Running || task.Lease.Worker != "b" || task.Attempt != 2 || task.Lost != 1 || task.Past[0].Worker != "a" || task.Past[0].Cause != CauseHost {
		t.Errorf("%+v", task)
	}
	if take("c", noon.Add(time.Hour)) || task.State != Died || task.Failure.Cause != CauseHost {
		t.Errorf("%+v", task)
	}
	if _, err := task.Take(j, Lease{}, noon); err == nil {
		t.Error("a task that DIED was taken")
	}
}

// TestNumbers: their text, and places among them.
func TestNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.SliceOf(rapid.IntRange(1, 60)).Draw(t, "ns")
		s := NumbersOf(ns...)
		want := slices.Compact(slices.Sorted(slices.Values(ns)))
		if got := slices.Collect(s.All); !slices.Equal(got, want) || s.Len() != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		var again Numbers
		text, err := s.MarshalText()
		if err == nil {
			err = again.UnmarshalText(text)
		}
		if err != nil || again.String() != s.String() || !slices.Equal(slices.Collect(again.All), want) {
			t.Fatalf("%s became %s, %v", s, again, err)
		}
		more := rapid.SliceOf(rapid.IntRange(1, 60)).Draw(t, "more")
		if got, want := s.With(more...), NumbersOf(append(ns, more...)...); got.String() != want.String() || got.Len() != want.Len() {
			t.Fatalf("%s with %v is %s, want %s", s, more, got, want)
		}
		for i, n := range want {
			if s.At(i+1) != n || s.Index(n) != i+1 || again.At(i+1) != n {
				t.Fatalf("number %d of %s is %d, and %d is at %d", i+1, s, s.At(i+1), n, s.Index(n))
			}
		}
		for n := range 62 {
			if s.Has(n) != slices.Contains(want, n) {
				t.Fatalf("%s has %d: %v", s, n, s.Has(n))
			}
		}
	})
	for _, text := range []string{"x", "0", "3-1", "2,1", "1-3,3", "1,", "-"} {
		if err := new(Numbers).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// TestManyNumbers: a job of millions whose tasks expire a thousand at a time.
func TestManyNumbers(t *testing.T) {
	var s Numbers
	s.add(1, 10_000_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s = s.With(10_000_001, 10_000_003)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 || s.String() != "1-10000001,10000003" {
		t.Errorf("%s took %d bytes", s, took)
	}
}

// TestNames: what ids and environments look like.
func TestNames(t *testing.T) {
	id := func(s, job string, n int, ok bool) {
		t.Helper()
		gotJob, gotN, err := ParseID(s)
		if (err == nil) != ok || ok && (gotJob != job || gotN != n) {
			t.Errorf("%q: %q %d, %v", s, gotJob, gotN, err)
		}
	}
	const ulid = "01jd3x7v9qk2m4n6p8r0s2t4v6"
	id(ulid, ulid, 0, true)
	id(ulid+".12", ulid, 12, true)
	for _, s := range []string{"", "x", ulid + ".", ulid + ".0", ulid + ".01", ulid + ".+1", ulid + ".1.1", "01JD3X7V9QK2M4N6P8R0S2T4V6"} {
		id(s, "", 0, false)
	}
	env := func(s, name string, version int, ok bool) {
		t.Helper()
		gotName, gotVersion, err := ParseEnv(s)
		if (err == nil) != ok || ok && (gotName != name || gotVersion != version) {
			t.Errorf("%q: %q %d, %v", s, gotName, gotVersion, err)
		}
	}
	env("", DefaultEnv, 0, true)
	env("model", "model", 0, true)
	env("model@3", "model", 3, true)
	for _, s := range []string{"@1", "model@", "model@0", "a b", "model@x"} {
		env(s, "", 0, false)
	}
	if KeySubject("a", "bc") == KeySubject("ab", "c") {
		t.Error("two keys have one subject")
	}
}
