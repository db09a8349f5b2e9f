package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks"
)

func TestATimeBecomesARun(t *testing.T) {
	k, w := newKit(t), &work{}
	s := k.server("a", minutely(w))
	if got := states(s, "job"); got != "" {
		t.Fatalf("before its time: %s", got)
	}
	k.forward(time.Minute)
	k.await(s, "job", "00:01 COMPLETE")
	k.forward(time.Minute)
	k.await(s, "job", "00:01 COMPLETE, 00:02 COMPLETE")
	if w.began() != "1 00:01, 1 00:02" {
		t.Errorf("began: %s", w.began())
	}
	run := s.Runs(Filter{Limit: 1})[0]
	if run.Cause != schedule.ByClock || run.Attempt != 1 || run.ID != clockID("job", run.Scheduled) || run.Ended.IsZero() {
		t.Errorf("%+v", run)
	}
	var lines []string
	err := s.Log(t.Context(), run.ID, 0, true, func(_ uint64, _ time.Time, data []byte) error {
		var told tasks.Told
		if err := json.Unmarshal(data, &told); err != nil {
			return err
		}
		lines = append(lines, told.Lines[0].Text)
		return nil
	})
	if got := strings.Join(lines, "|"); err != nil || got != "attempt 1, for 2026-01-01T00:02:00Z|hello|COMPLETE" {
		t.Errorf("log: %s (%v)", got, err)
	}
}

// TestOverlap: times come while the run of 00:01 is under way, which then ends.
func TestOverlap(t *testing.T) {
	for policy, want := range map[string][2]string{
		"skip":       {"00:01 RUNNING, 00:02 SKIPPED, 00:03 SKIPPED", "00:01 COMPLETE, 00:02 SKIPPED, 00:03 SKIPPED"},
		"queue":      {"00:01 RUNNING, 00:02 WAITING, 00:03 WAITING", "00:01 COMPLETE, 00:02 COMPLETE, 00:03 COMPLETE"},
		"allow":      {"00:01 RUNNING, 00:02 RUNNING, 00:03 RUNNING", "00:01 COMPLETE, 00:02 COMPLETE, 00:03 COMPLETE"},
		"cancel_old": {"00:01 CANCELLED, 00:02 CANCELLED, 00:03 RUNNING", "00:01 CANCELLED, 00:02 CANCELLED, 00:03 COMPLETE"},
	} {
		t.Run(policy, func(t *testing.T) {
			gate := make(chan struct{})
			k, w := newKit(t), &work{do: until(gate)}
			s := k.server("a", minutely(w, func(t *schedule.Timing) { t.Overlap = policy }))
			k.forward(time.Minute)
			k.await(s, "job", "00:01 RUNNING")
			k.forward(time.Minute)
			eventually(t, "the second has come", func() bool { return strings.Contains(states(s, "job"), "00:02") })
			if policy == "cancel_old" {
				k.await(s, "job", "00:01 CANCELLED, 00:02 RUNNING")
			}
			k.forward(time.Minute)
			k.await(s, "job", want[0])
			close(gate)
			k.await(s, "job", want[1])
			if policy == "queue" && w.began() != "1 00:01, 1 00:02, 1 00:03" {
				t.Errorf("began: %s", w.began())
			}
		})
	}
}

// TestAQueueHasAnEnd: of a schedule that is slower than its times only so many wait.
func TestAQueueHasAnEnd(t *testing.T) {
	defer func(n int) { maxQueued = n }(maxQueued)
	maxQueued = 2
	gate, seen := make(chan struct{}), ""
	k, w := newKit(t), &work{do: until(gate)}
	s := k.server("a", minutely(w, func(t *schedule.Timing) { t.Overlap = "queue" }))
	for _, want := range []string{"00:01 RUNNING", ", 00:02 WAITING", ", 00:03 WAITING", ", 00:04 SKIPPED"} {
		k.forward(time.Minute)
		seen += want
		k.await(s, "job", seen)
	}
	close(gate)
	k.await(s, "job", "00:01 COMPLETE, 00:02 COMPLETE, 00:03 COMPLETE, 00:04 SKIPPED")
}

// TestCatchUp: no server is up for three times; then for so long that even the last was
// long ago.
func TestCatchUp(t *testing.T) {
	for policy, want := range map[string][2]string{
		"none": {"00:01 MISSED, 00:02 MISSED, 00:03 COMPLETE", ", 00:04 MISSED, 00:05 MISSED"},
		"last": {"00:01 MISSED, 00:02 MISSED, 00:03 COMPLETE", ", 00:04 MISSED, 00:05 COMPLETE"},
		"all":  {"00:01 COMPLETE, 00:02 COMPLETE, 00:03 COMPLETE", ", 00:04 COMPLETE, 00:05 COMPLETE"},
	} {
		t.Run(policy, func(t *testing.T) {
			k, w := newKit(t), &work{}
			e := minutely(w, func(t *schedule.Timing) { t.CatchUp = policy })
			s := k.server("a", e)
			s.Close()
			k.forward(2*time.Minute + 56*time.Second) // a second after 00:03
			s = k.server("b", e)
			k.await(s, "job", want[0])
			s.Close()
			e.Timing.Cron = "0-5 * * * *"
			s = k.server("c", e) // what came before a change of the expression is none of its times
			k.await(s, "job", want[0])
			s.Close()
			k.forward(time.Hour - 10*time.Minute) // before the next
			s = k.server("d", e)
			k.await(s, "job", want[0]+want[1])
			if policy == "all" && w.began() != "1 00:03, 1 00:01, 1 00:02, 1 00:04, 1 00:05" && w.began() != "1 00:01, 1 00:02, 1 00:03, 1 00:04, 1 00:05" {
				t.Errorf("began: %s", w.began())
			}
		})
	}
}

// TestALongSuspensionIsCatchUp: as of a laptop, whose server was up all the time.
func TestALongSuspensionIsCatchUp(t *testing.T) {
	k := newKit(t)
	s := k.server("a", minutely(&work{}))
	k.forward(time.Minute)
	k.await(s, "job", "00:01 COMPLETE")
	k.forward(3*time.Minute + 40*time.Second)
	k.await(s, "job", "00:01 COMPLETE, 00:02 MISSED, 00:03 MISSED, 00:04 COMPLETE")
	if got := s.Runs(Filter{States: []schedule.State{schedule.Complete}, Limit: 1})[0].Cause; got != schedule.ByCatchUp {
		t.Errorf("cause %s", got)
	}
}

func TestRetries(t *testing.T) {
	k, w := newKit(t), &work{do: func(_ context.Context, r *schedule.Run) error {
		if r.Attempt < 3 {
			return errBroken
		}
		return nil
	}}
	s := k.server("a", minutely(w, func(t *schedule.Timing) {
		t.Retries, t.Backoff, t.Overlap = 2, configs.Duration(10*time.Second), "queue"
	}))
	k.forward(time.Minute)
	k.await(s, "job", "00:01 RETRYING")
	run := s.Runs(Filter{})[0]
	if wait := run.NotBefore.Sub(run.Started); run.Error != "broken" || wait < 10*time.Second || wait > 12*time.Second {
		t.Errorf("%+v", run)
	}
	k.forward(10 * time.Second)
	eventually(t, "the second attempt has failed", func() bool { r := s.Runs(Filter{})[0]; return r.Attempt == 2 && r.State == schedule.Retrying })
	k.forward(20 * time.Second)
	k.await(s, "job", "00:01 COMPLETE")
	if w.began() != "1 00:01, 2 00:01, 3 00:01" || k.told() != "" {
		t.Errorf("began: %s; told: %s", w.began(), k.told())
	}
}

// TestEventsAreTold: of the failure that is not tried again, of the recovery from it, and
// of a run that is late.
func TestEventsAreTold(t *testing.T) {
	var failing atomic.Bool
	gate := make(chan struct{})
	k, w := newKit(t), &work{}
	w.do = func(ctx context.Context, r *schedule.Run) error {
		if failing.Load() {
			return errBroken
		}
		if r.Scheduled.Minute() == 4 {
			return until(gate)(ctx, r)
		}
		return nil
	}
	s := k.server("a", minutely(w, func(t *schedule.Timing) { t.LateAfter = configs.Duration(2 * time.Minute) }))
	failing.Store(true)
	k.forward(time.Minute)
	k.await(s, "job", "00:01 ERROR")
	eventually(t, "the failure is told", func() bool { return k.told() == "failure 00:01" })
	failing.Store(false)
	k.forward(time.Minute)
	k.await(s, "job", "00:01 ERROR, 00:02 COMPLETE")
	eventually(t, "the recovery is told", func() bool { return k.told() == "failure 00:01, recovery 00:02" })
	k.forward(time.Minute)
	k.await(s, "job", "00:01 ERROR, 00:02 COMPLETE, 00:03 COMPLETE")
	k.forward(time.Minute)
	k.await(s, "job", "00:01 ERROR, 00:02 COMPLETE, 00:03 COMPLETE, 00:04 RUNNING")
	k.forward(100 * time.Second)
	k.forward(20 * time.Second)
	eventually(t, "the lateness is told", func() bool { return k.told() == "failure 00:01, recovery 00:02, late 00:04" })
	close(gate)
}

func TestTimeout(t *testing.T) {
	k, w := newKit(t), &work{do: until(nil)}
	s := k.server("a", minutely(w, func(t *schedule.Timing) { t.Timeout = configs.Duration(50 * time.Millisecond) }))
	k.forward(time.Minute)
	k.await(s, "job", "00:01 TIMEOUT")
	if run := s.Runs(Filter{})[0]; !strings.Contains(run.Error, "timeout, 50ms") {
		t.Errorf("%+v", run)
	}
}

// TestAPanicIsAFailure of the run, and of nothing else.
func TestAPanicIsAFailure(t *testing.T) {
	k, w := newKit(t), &work{do: func(context.Context, *schedule.Run) error { panic("ouch") }}
	s := k.server("a", minutely(w))
	k.forward(time.Minute)
	k.await(s, "job", "00:01 ERROR")
	if run := s.Runs(Filter{})[0]; !strings.HasPrefix(run.Error, "panic: ouch\n") {
		t.Errorf("%s", run.Error)
	}
}

func TestTriggerAndCancel(t *testing.T) {
	gate := make(chan struct{})
	k, w := newKit(t), &work{do: until(gate)}
	s := k.server("a", minutely(w))
	at := midnight.Add(-time.Hour)
	one, err := s.Trigger(t.Context(), "job", at, "bob")
	if err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "23:00 RUNNING")
	two, err := s.Trigger(t.Context(), "job", time.Time{}, "bob")
	if err != nil {
		t.Fatal(err)
	}
	k.await(s, "job", "23:00 RUNNING, 00:00 WAITING") // by hand they wait, whatever overlap is
	for _, id := range []string{two.ID, one.ID} {
		if err := s.Cancel(t.Context(), id, "eve"); err != nil {
			t.Fatal(err)
		}
	}
	k.await(s, "job", "23:00 CANCELLED, 00:00 CANCELLED")
	run, err := s.Run(t.Context(), one.ID)
	if err != nil || run.Reason != "by eve" || run.By != "bob" || run.Cause != schedule.ByHand {
		t.Errorf("%+v (%v)", run, err)
	}
	var conflict *ConflictError
	if err := s.Cancel(t.Context(), one.ID, "eve"); !errors.As(err, &conflict) {
		t.Errorf("once more: %v", err)
	}
	if err := s.Cancel(t.Context(), newID(), "eve"); !errors.Is(err, ErrMissing) {
		t.Errorf("another: %v", err)
	}
	if _, err := s.Trigger(t.Context(), "other", time.Time{}, "bob"); !errors.Is(err, ErrMissing) {
		t.Errorf("another: %v", err)
	}
}

// TestPauseOutlivesTheServer: times that come meanwhile are passed over.
func TestPauseOutlivesTheServer(t *testing.T) {
	k, w := newKit(t), &work{}
	e := minutely(w, func(t *schedule.Timing) { t.CatchUp = "all" })
	s := k.server("a", e)
	if err := s.Pause(t.Context(), "job", "bob"); err != nil {
		t.Fatal(err)
	}
	k.forward(time.Minute)
	s.Close()
	s = k.server("b", e)
	k.forward(time.Minute)
	if got, _ := s.Get("job"); !got.Paused || got.PausedBy != "bob" || !got.Next.IsZero() {
		t.Errorf("%+v", got)
	}
	if err := s.Resume(t.Context(), "job", "bob"); err != nil {
		t.Fatal(err)
	}
	k.forward(time.Minute)
	k.await(s, "job", "00:03 COMPLETE")
	// What the configuration says counts again when it is changed.
	e.Timing.Paused = true
	k.set(s, e)
	if got, _ := s.Get("job"); !got.Paused {
		t.Errorf("%+v", got)
	}
	if err := s.Resume(t.Context(), "job", "bob"); err != nil {
		t.Fatal(err)
	}
	k.set(s, e)
	if got, _ := s.Get("job"); got.Paused {
		t.Errorf("%+v", got)
	}
}
