//go:build linux && (soak || long)

package estate

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/marked"
	"github.com/rpipe-dev/rpipe/internal/program"
)

var (
	seed = flag.Uint64("seed", 1, "of when something is killed")
	long = flag.Duration("for", lasts, "how long the soak takes, less its end")
)

func TestNothingIsLostWhateverGoesWrong(t *testing.T) {
	e := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var jobs []string
	seen, answers := map[string]int{}, 0
	var load sync.WaitGroup
	load.Go(func() { e.submit(ctx, &jobs) })
	load.Go(func() { e.visit(ctx, seen) })
	load.Go(func() { e.double(ctx, &answers) })
	load.Go(func() { e.killR(ctx, rand.New(rand.NewPCG(*seed, 1))) })

	// The first half: the server is killed. Then the disk is full. The rest is for what it
	// takes, when nothing but R dies.
	chaos, calm := context.WithTimeout(ctx, *long/2)
	e.killServer(chaos, rand.New(rand.NewPCG(*seed, 2)))
	calm()
	e.await(patience)
	e.fill(ctx)
	samples := e.watch(ctx, *long/2)

	cancel()
	load.Wait()
	t.Logf("%d lives of the server, %d kills of R, %d jobs, %d answers of the API, %d pages", e.lives, e.kills, len(jobs), answers, len(seen))
	if e.lives < 3 || e.kills < 3 || len(jobs) < 10 || answers < 50 || len(seen) != len(pages) {
		t.Errorf("too little happened for this to tell anything: pages %v", seen)
	}
	e.checkSchedules()
	e.checkJobs(jobs)
	e.checkFlat(samples)
	e.drain()
	e.checkNothingLeft()
}

func (e *estate) watch(ctx context.Context, d time.Duration) (all []marked.Sample) {
	for begun := time.Now(); time.Since(begun) < d && program.Pause(ctx, d/100); {
		e.mu.Lock()
		pid := e.cmd.Process.Pid
		e.mu.Unlock()
		one, err := marked.Measure(pid)
		if err != nil {
			e.t.Errorf("the server is gone: %v", err)
			return all
		}
		all = append(all, one)
	}
	return all
}

// checkFlat holds that the end takes no more than the second quarter. Before some minutes
// are over Go's collector has not found its level: of a short soak memory has a bound only.
func (e *estate) checkFlat(all []marked.Sample) {
	if len(all) < 50 {
		e.t.Errorf("%d samples tell nothing", len(all))
		return
	}
	early, late := all[len(all)/4:len(all)/2], all[3*len(all)/4:]
	rss := func(s marked.Sample) int64 { return s.RSS }
	fds := func(s marked.Sample) int64 { return s.FDs }
	most := marked.Middle(early, rss)*5/4 + 32<<20
	if *long < 5*time.Minute {
		most = 700 << 20
	}
	e.t.Logf("bytes resident: %d in the second quarter, %d in the last; descriptors: %d, %d", marked.Middle(early, rss), marked.Middle(late, rss), marked.Middle(early, fds), marked.Middle(late, fds))
	if got := marked.Middle(late, rss); got > most {
		e.t.Errorf("%d bytes resident at the end, more than %d", got, most)
	}
	if from, to := marked.Middle(early, fds), marked.Middle(late, fds); to > from+20 {
		e.t.Errorf("descriptors grow: %d at the end, from %d", to, from)
	}
}

// run is a run of a schedule as the API tells it.
type run struct {
	ID        string
	State     string
	Scheduled time.Time
	Reason    string
	Error     string
	Rows      int64
	Files     []string
}

// get asks until there is an answer, and reads it.
func (e *estate) get(path string, into any) {
	e.t.Helper()
	for begun := time.Now(); ; program.Pause(e.t.Context(), 100*time.Millisecond) {
		status, answer, err := e.ask(e.t.Context(), "GET", path, nil)
		if err == nil && status == 200 {
			if err := json.Unmarshal(answer, into); err != nil {
				e.t.Fatalf("GET %s: %v: %.500s", path, err, answer)
			}
			return
		}
		if time.Since(begun) > patience {
			e.t.Fatalf("GET %s: %d %.500s %v", path, status, answer, err)
		}
	}
}

// result is one line of the results of a job.
type result struct {
	N     int
	Value json.RawMessage
}

func (e *estate) lines(path string) (all []result) {
	e.t.Helper()
	status, answer, err := e.ask(e.t.Context(), "GET", path, nil)
	if err != nil || status != 200 {
		e.t.Errorf("GET %s: %d %.300s %v", path, status, answer, err)
	}
	for line := range bytes.Lines(answer) {
		var r result
		if err := json.Unmarshal(line, &r); err != nil {
			e.t.Errorf("GET %s: %v: %s", path, err, line)
		}
		all = append(all, r)
	}
	return all
}

// runs are all runs of a schedule.
func (e *estate) runs(name string) (all []run) {
	for after := ""; ; {
		var page struct {
			Runs []run
			Next string
		}
		e.get("/v1/schedules/"+name+"/runs?limit=1000&after="+url.QueryEscape(after), &page)
		all = append(all, page.Runs...)
		if after = page.Next; after == "" {
			return all
		}
	}
}

// checkSchedules pauses all, waits for what is under way, and holds that each time was
// fired as the schedule says.
func (e *estate) checkSchedules() {
	for _, name := range []string{"every", "turns", "fresh", "rows"} {
		e.caughtUp(name)
		if status, answer, err := e.ask(e.t.Context(), "POST", "/v1/schedules/"+name+"/pause", nil); err != nil || status != 200 {
			e.t.Errorf("pause %s: %d %s %v", name, status, answer, err)
		}
	}
	for name, f := range map[string]struct {
		step   time.Duration
		states string // that a run may have come to
	}{
		"every": {time.Second, "COMPLETE"},
		"turns": {time.Second, "COMPLETE SKIPPED MISSED"},
		"fresh": {time.Second, "COMPLETE MISSED"},
		"rows":  {4 * time.Second, "COMPLETE"},
	} {
		all := e.settled(name)
		times := map[time.Time]int{}
		counts := map[string]int{}
		var first, last time.Time
		for _, r := range all {
			times[r.Scheduled]++
			counts[r.State]++
			if !strings.Contains(f.states, r.State) {
				e.t.Errorf("%s: the run of %s is %s: %s %s", name, r.Scheduled, r.State, r.Reason, r.Error)
			}
			if first.IsZero() || r.Scheduled.Before(first) {
				first = r.Scheduled
			}
			if r.Scheduled.After(last) {
				last = r.Scheduled
			}
		}
		e.t.Logf("%s: %d times from %s to %s: %v", name, len(times), first.Format(time.TimeOnly), last.Format(time.TimeOnly), counts)
		if len(all) < 10 || counts["COMPLETE"] < 5 {
			e.t.Errorf("%s: %v tells nothing", name, counts)
		}
		for at := first; !at.After(last); at = at.Add(f.step) {
			if n := times[at]; n != 1 && !(n == 0 && strings.Contains(f.states, "MISSED")) {
				e.t.Errorf("%s: %d runs for %s", name, n, at)
			}
			delete(times, at)
		}
		if len(times) > 0 {
			e.t.Errorf("%s: runs for times that are none of its own: %v", name, times)
		}
		e.checkDone(name, all)
	}
}

// caughtUp waits until nothing is made up for any more.
func (e *estate) caughtUp(name string) {
	for begun := time.Now(); ; program.Pause(e.t.Context(), 300*time.Millisecond) {
		var now struct{ Backfills []any }
		e.get("/v1/schedules/"+name, &now)
		if len(now.Backfills) == 0 {
			return
		}
		if time.Since(begun) > 3*patience {
			e.t.Errorf("%s: times that were missed are still not made up for", name)
			return
		}
	}
}

// settled are the runs of a schedule, once all have ended.
func (e *estate) settled(name string) []run {
	for begun := time.Now(); ; program.Pause(e.t.Context(), 500*time.Millisecond) {
		all, open := e.runs(name), 0
		for _, r := range all {
			if r.State == "WAITING" || r.State == "RUNNING" || r.State == "RETRYING" {
				open++
			}
		}
		if open == 0 {
			return all
		}
		if time.Since(begun) > 3*patience {
			e.t.Errorf("%s: %d runs are still open", name, open)
			return all
		}
	}
}

// checkDone holds that what is COMPLETE has been done: at least once where R does it, and
// once where a pipeline writes.
func (e *estate) checkDone(name string, all []run) {
	text, err := os.ReadFile(filepath.Join(e.dir, name+".fired"))
	if err != nil && name != "rows" {
		e.t.Error(err)
	}
	for _, r := range all {
		if r.State != "COMPLETE" {
			continue
		}
		at := r.Scheduled.UTC().Format("2006-01-02T15:04:05Z")
		if name != "rows" {
			if !strings.Contains(string(text), at) {
				e.t.Errorf("%s: the run of %s is COMPLETE, and was not done", name, at)
			}
			continue
		}
		if r.Rows != rows || len(r.Files) == 0 {
			e.t.Errorf("%s: the run of %s wrote %d rows into %v", name, at, r.Rows, r.Files)
		}
		for _, f := range r.Files {
			if _, err := os.Stat(f); err != nil {
				e.t.Errorf("%s: the run of %s: %v", name, at, err)
			}
		}
	}
}

// checkJobs holds that each task has its value.
func (e *estate) checkJobs(jobs []string) {
	for n, id := range jobs {
		for begun := time.Now(); ; program.Pause(e.t.Context(), 200*time.Millisecond) {
			var row struct{ States map[string]int }
			e.get("/v1/jobs/"+id, &row)
			if row.States["COMPLETE"] == perJob {
				break
			}
			if time.Since(begun) > patience {
				e.t.Errorf("job %d, %s: %v", n, id, row.States)
				return
			}
		}
		results := e.lines("/v1/jobs/" + id + "/results")
		for i, r := range results {
			if want := fmt.Sprint(n*perJob + i + 1); r.N != i+1 || string(r.Value) != want {
				e.t.Errorf("job %d, %s: value %d is %s, want %s", n, id, r.N, r.Value, want)
			}
		}
		if len(results) != perJob {
			e.t.Errorf("job %d, %s: %d results", n, id, len(results))
		}
	}
}

// checkNothingLeft holds that no process is left.
func (e *estate) checkNothingLeft() {
	for begun := time.Now(); ; program.Pause(e.t.Context(), 50*time.Millisecond) {
		left := marked.With(e.mark)
		if len(left) == 0 {
			return
		}
		if time.Since(begun) > 10*time.Second {
			e.t.Errorf("processes are left: %+v", left)
			return
		}
	}
}
