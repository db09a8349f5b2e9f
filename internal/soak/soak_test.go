//go:build linux

package soak

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/marked"
	"github.com/rpipe-dev/rpipe/internal/program"
)

var (
	seed = flag.Uint64("seed", 1, "of what is asked, and when something is killed")
	long = flag.Duration("for", lasts, "how long the soak takes, at least")
)

const workers = 3

func TestNoRequestIsLostWhateverGoesWrong(t *testing.T) {
	s := start(t, workers)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for i, what := range []struct {
		do    func(context.Context, *rand.Rand)
		times int
	}{
		{s.behave, 6}, {s.sendSlowly, 4}, {s.readSlowly, 2}, {s.dribble, 3}, {s.hangUp, 2}, {s.kill, 1}, {s.reload, 1},
	} {
		for n := range what.times {
			rng := rand.New(rand.NewPCG(*seed, uint64(100*i+n)))
			all.Go(func() { what.do(ctx, rng) })
		}
	}
	samples := s.watch(ctx)
	cancel()
	all.Wait()
	s.report()
	s.checkFlat(samples)
	s.checkDrain()
	s.checkNothingLeft()
}

// kill kills an R process now and then, one of three times a template or standby.
func (s *trial) kill(ctx context.Context, rng *rand.Rand) {
	for program.Pause(ctx, killEvery/2+time.Duration(rng.Int64N(int64(killEvery)))) {
		workers, templates := s.census.Victims()
		if rng.IntN(3) == 0 && len(templates) > 0 {
			s.shoot(anyOf(rng, templates))
			s.templates.Add(1)
		} else if len(workers) > 0 {
			s.shoot(anyOf(rng, workers))
		}
	}
}

func (s *trial) shoot(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
		s.kills = append(s.kills, time.Now())
	}
}

// reload puts new code in place, of which every third does not work, and waits
// until the new code answers, or is refused.
func (s *trial) reload(ctx context.Context, rng *rand.Rand) {
	for n := 1; program.Pause(ctx, reloadEvery/2+time.Duration(rng.Int64N(int64(reloadEvery)))); n++ {
		good := s.version.Load()
		if n%3 == 2 {
			before := s.refused()
			s.bring(ctx, anyOf(rng, broken), func() bool { return s.refused() > before })
			if err := publish(s.dir, fmt.Sprintf(code, good)); err != nil {
				s.t.Error(err)
			}
		} else {
			s.bring(ctx, fmt.Sprintf(code, good+1), func() bool { return s.version.Load() > good })
		}
	}
}

// bring puts code in place and waits until it has taken effect.
func (s *trial) bring(ctx context.Context, text string, done func() bool) {
	if err := publish(s.dir, text); err != nil {
		s.t.Error(err)
	}
	for begun := time.Now(); ; {
		// Again where the kill of a process has spoiled it.
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			s.t.Error(err)
		}
		for again := time.Now().Add(15 * time.Second); time.Now().Before(again); {
			if done() || !program.Pause(ctx, 20*time.Millisecond) {
				return
			}
		}
		if time.Since(begun) > 2*patience {
			s.t.Errorf("new code has had no effect after %v:\n%s", 2*patience, s.said())
			return
		}
	}
}

// watch takes samples until the soak is over: when its time is, and enough has
// happened for it to tell something, which on a busy machine may take longer.
func (s *trial) watch(ctx context.Context) (all []marked.Sample) {
	begun := time.Now()
	for program.Pause(ctx, *long/200) {
		one, err := marked.Measure(s.cmd.Process.Pid)
		if err != nil {
			s.t.Errorf("the proxy is gone: %v\n%s", err, s.said())
			return all
		}
		s.census.Take()
		all = append(all, one)
		if took := time.Since(begun); took > *long && (s.enough() || took > *long+2*patience) {
			return all
		}
	}
	return all
}

// enough reports whether there were kills, new code, good and broken, and all
// kinds of requests.
func (s *trial) enough() bool {
	refused := s.refused()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kills) >= 5 && s.templates.Load() >= 2 && s.version.Load() >= 3 && refused > 0 && len(s.asked) == len(kinds())
}

// report tells what there was, and holds that it was something.
func (s *trial) report() {
	if !s.enough() {
		s.t.Error("too little happened for this to tell anything")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, name := range slices.Sorted(maps.Keys(s.asked)) {
		total += s.asked[name]
		s.t.Logf("%8d answers: %s", s.asked[name], name)
	}
	s.t.Logf("%8d answers in all, of %d versions of the code, %d others were refused; %d kills, %d of them of templates, %d answers with 502", total, s.version.Load(), s.refused(), len(s.kills), s.templates.Load(), s.died)
	if s.died > len(s.kills) {
		s.t.Errorf("%d answers with 502 of %d kills: each kill excuses one", s.died, len(s.kills))
	}
}

// kinds are the names of what is asked.
func kinds() map[string]bool {
	names := map[string]bool{"large": true}
	for _, ask := range asks {
		names[ask(rand.New(rand.NewPCG(1, 1))).name] = true
	}
	return names
}

// checkFlat holds that the end of the soak took no more than its second quarter.
// Before some minutes are over Go's collector has not found its level: of a short
// soak memory has a bound only.
func (s *trial) checkFlat(all []marked.Sample) {
	if len(all) < 100 {
		s.t.Errorf("%d samples tell nothing", len(all))
		return
	}
	early, late := all[len(all)/4:len(all)/2], all[3*len(all)/4:]
	for _, f := range []struct {
		name string
		of   func(marked.Sample) int64
		more func(int64) int64
	}{
		{"bytes resident", func(s marked.Sample) int64 { return s.RSS }, func(v int64) int64 { return v + v/4 + 16<<20 }},
		{"descriptors", func(s marked.Sample) int64 { return s.FDs }, func(v int64) int64 { return v + 20 }},
	} {
		from, to := marked.Middle(early, f.of), marked.Middle(late, f.of)
		if *long < 2*time.Minute && f.name == "bytes resident" {
			from = 384 << 20
		}
		s.t.Logf("%s: %d in the second quarter, %d in the last", f.name, marked.Middle(early, f.of), to)
		if to > f.more(from) {
			s.t.Errorf("%s grow: %d at the end, from %d", f.name, to, from)
		}
	}
}

// checkDrain stops the proxy while it is at work, and holds that what it has
// begun is answered.
func (s *trial) checkDrain() {
	var under sync.WaitGroup
	for i := range workers {
		mark := filepath.Join(s.dir, fmt.Sprintf("begun%d", i))
		n := fmt.Sprintf("last%d", i)
		k := &ask{name: "last", method: "GET", path: fmt.Sprintf("/slow?ms=2000&nonce=%s&mark=%s", n, mark), status: http.StatusOK, check: same(n)}
		under.Go(func() { s.put(&client{addr: s.addr}, k, (*client).do) })
		defer func() {
			if _, err := os.Stat(mark); err != nil {
				s.t.Errorf("a request that was to be under way never was: %v", err)
			}
		}()
		for deadline := time.Now().Add(patience); ; program.Pause(s.t.Context(), 10*time.Millisecond) {
			if _, err := os.Stat(mark); err == nil || time.Now().After(deadline) {
				break
			}
		}
	}
	took, err := s.stop(20 * time.Second)
	under.Wait()
	if err != nil {
		s.t.Errorf("%v\n%s", err, s.said())
	}
	s.t.Logf("the proxy ended %v after SIGTERM, with %d requests of 2 s under way", took.Round(time.Millisecond), workers)
	if c := (&client{addr: s.addr}); c.connect() == nil {
		s.t.Error("somebody still listens")
	}
}

func TestStoppingDoesNotWaitForCodeThatLoads(t *testing.T) {
	s := start(t, 1)
	mark := filepath.Join(s.dir, "loading")
	if err := publish(s.dir, fmt.Sprintf("file.create(%q); Sys.sleep(300)\n", mark)+fmt.Sprintf(code, 2)); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; program.Pause(t.Context(), 20*time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("SIGHUP did not load the code:\n%s", s.said())
		}
	}
	if _, err := s.stop(20 * time.Second); err != nil {
		t.Errorf("%v\n%s", err, s.said())
	}
	s.checkNothingLeft()
}

func TestNothingOutlivesAProxyThatIsKilled(t *testing.T) {
	s := start(t, workers)
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range workers {
		load.Go(func() {
			c := &client{addr: s.addr}
			defer c.close()
			for ctx.Err() == nil {
				r, err := slow(rand.New(rand.NewPCG(1, uint64(i)))).request(s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := c.do(r); err != nil {
					return // it was killed
				}
			}
		})
	}
	for deadline := time.Now().Add(patience); ; {
		if workers, _ := s.census.Victims(); len(workers) > 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is only one worker under load")
		}
		program.Pause(t.Context(), 50*time.Millisecond)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	cancel()
	load.Wait()
	for deadline := time.Now().Add(10 * time.Second); len(marked.With(s.mark)) > 0; program.Pause(t.Context(), 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("processes are left: %+v", marked.With(s.mark))
		}
	}
}
