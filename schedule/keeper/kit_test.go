package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(helperEnv); text != "" {
		os.Exit(help(text))
	}
	goleak.VerifyTestMain(m)
}

// midnight is when the clocks of tests begin.
var midnight = time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)

// kit has a store, and servers that have one clock.
type kit struct {
	t      *testing.T
	broker *broker.Broker
	mu     sync.Mutex
	ahead  time.Duration
	open   []*Keeper
	events []Event
}

func newKit(t *testing.T) *kit {
	b, err := broker.Open(t.Context(), broker.Options{Dir: t.TempDir(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{t: t, broker: b, ahead: time.Until(midnight)}
	t.Cleanup(func() {
		for _, s := range k.open {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		b.Close()
	})
	return k
}

func (k *kit) now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Now().Add(k.ahead)
}

// forward sets the clock.
func (k *kit) forward(d time.Duration) {
	k.mu.Lock()
	k.ahead += d
	k.mu.Unlock()
	for _, s := range k.open {
		s.nudge()
	}
}

func (k *kit) server(name string, entries ...Entry) *Keeper {
	k.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(k.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := Open(k.t.Context(), k.broker, Options{Server: name, Now: k.now, Log: log, Notify: func(e Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.events = append(k.events, e)
	}})
	if err != nil {
		k.t.Fatal(err)
	}
	k.open = append(k.open, s)
	if entries != nil {
		k.set(s, entries...)
	}
	return s
}

// set has a server keep entries, and waits until it has begun to.
func (k *kit) set(s *Keeper, entries ...Entry) {
	k.t.Helper()
	if err := s.Set(entries); err != nil {
		k.t.Fatal(err)
	}
	for _, e := range entries {
		eventually(k.t, "there is a record of "+e.Name, func() bool {
			t, now := s.timerOf(e.Name)
			return t != nil && !differs(t, now)
		})
	}
}

// eventually waits for what other goroutines do.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within three minutes: %s", what)
		}
	}
}

// work is what runs in tests: do, which is given the attempt.
type work struct {
	mu   sync.Mutex
	runs []string // "attempt of scheduled time", as they began
	do   func(ctx context.Context, run *schedule.Run) error
}

func (w *work) Run(ctx context.Context, run *schedule.Run, tell func(schedule.Outcome), log func(string)) error {
	w.mu.Lock()
	w.runs = append(w.runs, fmt.Sprintf("%d %s", run.Attempt, run.Scheduled.Format("15:04")))
	w.mu.Unlock()
	log("hello")
	if w.do == nil {
		return nil
	}
	return w.do(ctx, run)
}

func (w *work) began() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.runs, ", ")
}

// until is work that lasts until it is let go, or stopped.
func until(gate chan struct{}) func(context.Context, *schedule.Run) error {
	return func(ctx context.Context, _ *schedule.Run) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func minutely(w Work, change ...func(*schedule.Timing)) Entry {
	return named("job", w, append([]func(*schedule.Timing){func(t *schedule.Timing) { t.Cron = "* * * * *" }}, change...)...)
}

func named(name string, w Work, change ...func(*schedule.Timing)) Entry {
	e := Entry{Name: name, Kind: "function", From: "rpipe.yaml", Owner: "ann", Work: w}
	configs.SetDefaults(&e.Timing)
	for _, f := range change {
		f(&e.Timing)
	}
	return e
}

// states are the runs of a schedule, oldest first: "00:01 COMPLETE, …".
func states(k *Keeper, name string) string {
	var out []string
	for _, r := range k.runsOf(name, func(*schedule.Run) bool { return true }) {
		out = append(out, r.Scheduled.Format("15:04")+" "+string(r.State))
	}
	return strings.Join(out, ", ")
}

func (k *kit) await(s *Keeper, name, want string) {
	k.t.Helper()
	got := ""
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if got = states(s, name); got == want {
			return
		}
		if time.Now().After(end) {
			k.t.Fatalf("runs of %s: %s; want %s", name, got, want)
		}
	}
}

func (k *kit) told() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, e := range k.events {
		out = append(out, e.Kind+" "+e.Run.Scheduled.Format("15:04"))
	}
	return strings.Join(out, ", ")
}

var errBroken = errors.New("broken")
