package taskcrash

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// places are those at which the process is killed, and how often it passes them at least.
var places = map[string]int{
	"submit-blobs": 2, "submit-job": 1, "submit-records": 1, "submit-part": 2,
	"retry-job": 1, "retry-moved": 1, "cancel-records": 1, "delete-announced": 1, "delete-tasks": 1,
	"release-records": 1, "admit-records": 2,
}

// TestPlaces kills the process where it has done half of something.
func TestPlaces(t *testing.T) {
	for _, place := range slices.Sorted(maps.Keys(places)) {
		t.Run(place, func(t *testing.T) {
			t.Parallel() // mostly it waits for the disk and for leases
			s := &session{t: t, dir: t.TempDir(), place: fmt.Sprint(place, ":", 1+rand.IntN(places[place]))}
			s.play(small)
			if s.died == 0 {
				t.Errorf("it has not died at %s", s.place)
			}
		})
	}
}

// TestMoments kills the process at random moments.
func TestMoments(t *testing.T) {
	s := &session{t: t, dir: t.TempDir(), moments: true, kills: kills}
	s.play(many)
	if s.died == 0 {
		t.Error("it was never killed")
	}
}

// script is a session: n jobs of size tasks, then what is done with them.
type script struct{ jobs, size int }

// small has jobs that are written in parts, and one whose tasks are written with it.
var small = script{3, 450}

// session plays a script against a process, and begins a new one whenever it dies.
type session struct {
	t     *testing.T
	dir   string
	place string // where the first process dies
	died  int

	moments bool // die at random ones, at least once
	kills   int  // how often still

	p     *process
	timer *time.Timer
}

func (s *session) up() {
	if s.p != nil && !s.p.dead {
		return
	}
	place := ""
	if s.died == 0 {
		place = s.place
	}
	s.p = start(s.t, s.dir, place)
	if s.kills > 0 {
		s.kills--
		p := s.p.cmd.Process
		s.timer = time.AfterFunc(time.Duration(rand.Int64N(int64(killWithin))), func() { p.Kill() }) // kill -9; it may have ended
	}
}

// do asks until there is an answer: the same again after each death, and while what it
// waits for gets on.
func (s *session) do(r Request) Answer {
	s.t.Helper()
	var states map[tasks.State]int64
	for again := false; ; again = true {
		s.up()
		a, err := s.p.ask(r)
		switch {
		case err == nil:
			return a
		case again && r.Do == Delete && strings.HasSuffix(err.Error(), "not found"):
			return a // the next start has finished what the last one had begun
		case a.States != nil && !maps.Equal(a.States, states):
			states = a.States
			continue
		case !errors.Is(err, errDied):
			s.t.Fatalf("%+v: %v", r, err)
		}
		s.died++
		s.p.kill()
		s.stopTimer()
	}
}

func (s *session) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// play submits jobs, of which some fail, depend on others or are limited, retries what
// failed, cancels and deletes; then it holds that all is as if nothing had happened.
func (s *session) play(c script) {
	t := s.t
	var ids []string
	for i := range c.jobs {
		r := Request{Do: Submit, Key: fmt.Sprint("job ", i), N: c.size, Code: "ok"}
		switch i % 3 {
		case 1:
			r.Code = Failing
		case 2:
			r.After, r.N = ids[i-2:i-1], c.size/10
			r.MaxRunning = 200
		}
		ids = append(ids, s.do(r).Job)
	}
	extra := s.do(Request{Do: Submit, Key: "cancelled", N: min(c.size, 900), Code: "ok", MaxRunning: 1}).Job
	s.do(Request{Do: Cancel, Job: extra})
	s.do(Request{Do: Wait, Job: extra})
	s.do(Request{Do: Delete, Job: extra})
	for i, id := range ids {
		if i%3 == 1 {
			s.do(Request{Do: Wait, Job: id})
			s.do(Request{Do: Retry, Job: id})
		}
	}
	total, moved := int64(0), int64(0)
	for i, id := range ids {
		n := int64(c.size)
		switch i % 3 {
		case 1:
			moved += n / 7
		case 2:
			n /= 10
		}
		total += n
		if got := s.do(Request{Do: Wait, Job: id}).States; got[tasks.Complete] != n || len(got) != 1 {
			t.Errorf("job %d of %d: %v, want %d COMPLETE", i+1, c.jobs, got, n)
		}
	}
	s.stopTimer()
	if s.moments && s.died == 0 { // the machine is quick: let this be the moment
		s.p.kill()
		s.died++
	}
	got := s.do(Request{Do: Count}).States
	if got[tasks.Complete] != total || got[tasks.Moved] != moved || len(got) != 2 {
		t.Errorf("%v: want %d COMPLETE and %d MOVED", got, total, moved)
	}
	t.Logf("%d tasks, %d deaths", total, s.died)
	s.up()
	s.p.end()
}
