package keeper

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// helper is what the test binary does when it is started as a server that is to be killed.
type helper struct {
	Name  string
	Store string // directory of an embedded store
	URL   string // of one elsewhere
	Marks string // directory where runs leave their marks
	Die   string // place:n, where it kills itself
	First bool   // it begins a backfill
}

const helperEnv = "RPIPE_KEEPER_TEST_HELPER"

// mark is work that writes down that it has begun.
type mark struct{ h *helper }

func (m mark) Run(ctx context.Context, run *schedule.Run, _ func(schedule.Outcome), _ func(string)) error {
	f, err := os.OpenFile(filepath.Join(m.h.Marks, run.ID), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %d\n", m.h.Name, run.Attempt); err != nil {
		return err
	}
	t := time.NewTimer(300 * time.Millisecond) // so that some are under way whenever it is killed
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// help is the main function of a helper: it fires tick each second, and next after each
// of it, until its standard input ends; then it brings to an end what there is.
func help(text string) int {
	var h helper
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		panic(err)
	}
	place, number, _ := strings.Cut(h.Die, ":")
	times, _ := strconv.Atoi(number)
	var mu sync.Mutex
	hit = func(at string) {
		mu.Lock()
		defer mu.Unlock()
		if at == place {
			if times--; times == 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL) //nolint:errcheck // the select waits for it
				select {}
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	o := broker.Options{Name: h.Name, Durability: "interval:200ms"}
	if h.URL != "" {
		o.URLs = []string{h.URL}
	} else {
		o.Dir = h.Store
	}
	b, err := broker.Open(ctx, o)
	if err != nil {
		panic(err)
	}
	defer b.Close()
	k, err := Open(ctx, b, Options{Server: h.Name, Log: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		panic(err)
	}
	defer k.Close()
	entries := []Entry{
		named("tick", mark{&h}, func(t *schedule.Timing) { t.Cron, t.Overlap, t.CatchUp = "@every 1s", "allow", "all" }),
		named("next", mark{&h}, func(t *schedule.Timing) { t.After, t.Overlap = []string{"tick"}, "allow" }),
	}
	if err := k.Set(entries); err != nil {
		panic(err)
	}
	if h.First {
		for at := time.Now(); ; {
			if _, err := k.Backfill(ctx, "tick", at.Add(-time.Hour), at.Add(-time.Hour+4*time.Second), "test"); err == nil {
				break
			}
		}
	}
	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end is all that counts
	idle := func(open func() int) {
		for open() > 0 {
			time.Sleep(20 * time.Millisecond) // others may bring them to an end, too
		}
	}
	idle(func() (n int) {
		for _, s := range k.List() {
			n += len(s.Backfills)
		}
		return n
	})
	if err := k.Pause(ctx, "tick", "test"); err != nil {
		panic(err)
	}
	idle(func() int {
		return len(k.all(func(r *schedule.Run) bool { return !r.State.Final() || !r.Passed }))
	})
	err = b.Range(ctx, runPrefix+">", func(r broker.Record) error {
		_, err := fmt.Printf("RUN %s\n", r.Data)
		return err
	})
	if err != nil {
		panic(err)
	}
	return 0
}

// process is a helper that runs.
type process struct {
	helper
	cmd   *exec.Cmd
	in    io.Closer
	done  chan struct{} // closed when its output has ended
	lines []string      // of it; after done
	leads chan struct{} // closed when it has led
	led   atomic.Bool
	ledAt atomic.Int64 // when it began to lead last
}

func start(t *testing.T, h helper) *process {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{helper: h, cmd: exec.Command(os.Args[0], "-test.run=^$"), done: make(chan struct{}), leads: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), helperEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		s := bufio.NewScanner(out)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			p.lines = append(p.lines, s.Text())
			if strings.Contains(s.Text(), "this server leads") {
				if p.ledAt.Store(time.Now().UnixNano()); p.led.CompareAndSwap(false, true) {
					close(p.leads)
				}
			}
		}
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of what %s said:\n%s", h.Name, strings.Join(p.lines[max(0, len(p.lines)-30):], "\n"))
		}
	})
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	p.in.Close()         // after that: at the end of its input it would pause the schedules
	<-p.done
	p.cmd.Wait() //nolint:errcheck // it was killed
}

// finish has it bring all runs to an end, and is what there is then.
func (p *process) finish(t *testing.T) []schedule.Run {
	t.Helper()
	p.in.Close()
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		t.Fatal("a server does not come to an end")
	}
	var runs []schedule.Run
	for _, line := range p.lines {
		if text, ok := strings.CutPrefix(line, "RUN "); ok {
			var r schedule.Run
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			runs = append(runs, r)
		}
	}
	return runs
}

// once checks that each second from the first to the last has one run of tick and one of
// next, that all are COMPLETE by their first attempt, and began once for each server that
// had them; and is how many seconds there were, and how often servers took over.
func once(t *testing.T, runs []schedule.Run, marks string) (seconds, taken int) {
	t.Helper()
	times, nexts := map[int64]int{}, map[int64]int{}
	var all []int64
	for _, r := range runs {
		at := r.Scheduled.Unix()
		switch {
		case r.Schedule == "next":
			nexts[at]++
		case r.Cause == schedule.ByBackfill:
		default:
			times[at]++
			all = append(all, at)
		}
		if r.State != schedule.Complete || r.Attempt != 1 {
			t.Errorf("%s of %s: %s, attempt %d: %s %s", r.Schedule, r.Scheduled, r.State, r.Attempt, r.Error, r.Reason)
		}
		began, err := os.ReadFile(filepath.Join(marks, r.ID))
		if n := strings.Count(string(began), "\n"); err != nil || n < 1 || n > 1+r.Taken {
			t.Errorf("%s of %s began %d times (%v), and was taken over %d times", r.Schedule, r.Scheduled, n, err, r.Taken)
		}
		taken += r.Taken
	}
	if len(all) == 0 {
		t.Fatal("nothing ran")
	}
	for at := slices.Min(all); at <= slices.Max(all); at++ {
		if times[at] != 1 || nexts[at] != 1 {
			t.Errorf("%s: %d runs of tick, %d of next", time.Unix(at, 0).UTC(), times[at], nexts[at])
		}
		seconds++
	}
	return seconds, taken
}

// TestDyingAnywhereFiresOnce: the server dies at each place between two writes, and the
// next one goes on.
func TestDyingAnywhereFiresOnce(t *testing.T) {
	for _, place := range []string{"fire-cursor:3", "range-cursor:2", "start:4", "started:5", "ended:3", "passed:4"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			h := helper{Name: "one", Store: t.TempDir(), Marks: t.TempDir(), Die: place, First: true}
			dies := start(t, h)
			select {
			case <-dies.done:
			case <-time.After(2 * time.Minute):
				t.Fatal("it has not come to that place")
			}
			if err := dies.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("it ended by itself: %v", err)
			}
			h.Name, h.Die, h.First = "two", "", false
			runs := start(t, h).lead(t).finish(t)
			seconds, taken := once(t, runs, h.Marks)
			backfilled := map[time.Time]int{}
			for _, r := range runs {
				if r.Cause == schedule.ByBackfill {
					backfilled[r.Scheduled]++
				}
			}
			if len(backfilled) != 4 || len(runs) != 2*seconds+8 {
				t.Errorf("%d runs in %d seconds, and backfilled: %v", len(runs), seconds, backfilled)
			}
			t.Logf("%d seconds, %d runs were taken over", seconds, taken)
		})
	}
}

// begun is how many runs have begun, of all servers or of one.
func begun(t *testing.T, marks, server string) (n int) {
	t.Helper()
	files, err := os.ReadDir(marks)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(marks, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if name, _, _ := strings.Cut(line, " "); server == "" || name == server {
				n++
			}
		}
	}
	return n
}

// lead waits until it leads.
func (p *process) lead(t *testing.T) *process {
	t.Helper()
	select {
	case <-p.leads:
	case <-p.done:
		t.Fatal("a server has ended")
	case <-time.After(time.Minute):
		t.Fatal("a server does not lead")
	}
	return p
}

// TestTheLeaderIsKilledAgainAndAgain: three servers on one engine, of which the one that
// leads is killed, and comes back.
func TestTheLeaderIsKilledAgainAndAgain(t *testing.T) {
	kills := 3
	if testing.Short() {
		kills = 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	engine, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	go engine.Start()
	t.Cleanup(func() { engine.Shutdown(); engine.WaitForShutdown() }) // after the servers
	if !engine.ReadyForConnections(time.Minute) {
		t.Fatal("the engine is not ready")
	}
	url := "nats://" + l.Addr().String()
	b, err := broker.Open(t.Context(), broker.Options{URLs: []string{url}}) // makes the streams
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	marks := t.TempDir()
	fresh := 0
	spawn := func() *process {
		fresh++
		return start(t, helper{Name: fmt.Sprintf("s%d", fresh), URL: url, Marks: marks})
	}
	servers := []*process{spawn(), spawn(), spawn()}
	for range kills {
		var found *process
		eventually(t, "one leads, and has fired some", func() bool {
			found = nil
			for _, p := range servers {
				if p.led.Load() && (found == nil || p.ledAt.Load() > found.ledAt.Load()) {
					found = p
				}
			}
			return found != nil && begun(t, marks, found.Name) >= 3
		})
		found.kill()
		servers[slices.Index(servers, found)] = spawn()
	}
	before := begun(t, marks, "")
	eventually(t, "another goes on", func() bool { return begun(t, marks, "") >= before+4 })
	last := servers[0].finish(t)
	for _, p := range servers[1:] {
		last = p.finish(t)
	}
	seconds, taken := once(t, last, marks)
	t.Logf("%d seconds, %d kills, %d runs were taken over", seconds, kills, taken)
	if seconds < 5*kills {
		t.Errorf("%d seconds are too few for %d kills", seconds, kills)
	}
}
