package pipelines

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	return ctx, cancel
}

// begin runs an attempt in the background.
func (s *Set) begin(ctx context.Context, name, id string, n int) (ended <-chan error, r *record) {
	r = new(record)
	done := make(chan error, 1)
	for _, e := range s.Entries() {
		if e.Name == name {
			run := &schedule.Run{ID: id, Schedule: name, Scheduled: day(n), Attempt: 1}
			go func() { done <- e.Work.Run(ctx, run, r.tell, r.log) }()
		}
	}
	return done, r
}

// A run that its server left goes on with the same id, where its record ends; what was
// on record is not done again, and each row is there once.
func TestARunGoesOn(t *testing.T) {
	g := newGate(t)
	s := set(t, map[string]string{"p.yaml": g.gated("")})
	g.hold(45)
	ctx, leave := context.WithCancelCause(t.Context())
	ended, _ := s.begin(ctx, "p", "mine", 1)
	wait(t, g.at)
	f := s.Live("mine")
	if f == nil || len(f.Nodes) != 4 || len(f.Edges) != 3 || f.Nodes[2].Component != "fetch" || f.Nodes[2].Kind != "stage" || f.Nodes[2].InFlight == 0 || f.Edges[0].From != "source" || f.Edges[0].Capacity == 0 {
		t.Errorf("figures %+v", f)
	}
	if ids := s.Running("p"); len(ids) != 1 || ids[0] != "mine" {
		t.Errorf("running %v", ids)
	}
	leave(keeper.ErrHandover)
	if err := <-ended; !errors.Is(err, keeper.ErrHandover) {
		t.Fatalf("left: %v", err)
	}
	if s.Live("mine") != nil || len(rows(t, filepath.Join(s.o.Dir, "out"))) > 0 {
		t.Error("it is seen after its end")
	}
	g.release()
	r, err := s.doOnce(t.Context(), "p", "mine", day(1), Input{})
	if err != nil || !strings.Contains(r.text(), "going on with a run") {
		t.Fatalf("%v\n%s", err, r.text())
	}
	if all := rows(t, filepath.Join(s.o.Dir, "out")); len(all) != 60 {
		t.Errorf("%d rows", len(all))
	}
	// Its server died before it could tell: it comes once more.
	if _, err = s.doOnce(t.Context(), "p", "mine", day(1), Input{}); err != nil {
		t.Fatal(err)
	}
	if all := rows(t, filepath.Join(s.o.Dir, "out")); len(all) != 60 {
		t.Errorf("%d rows when it is done again", len(all))
	}
}

// What a run of another time left on record is in no run's way.
func TestAnotherRunIsNotGoneOnWith(t *testing.T) {
	g := newGate(t)
	s := set(t, map[string]string{"p.yaml": g.gated("")})
	g.hold(45)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended, _ := s.begin(ctx, "p", "first", 1)
	wait(t, g.at)
	cancel(keeper.ErrCanceled)
	if err := <-ended; !errors.Is(err, keeper.ErrCanceled) || strings.Contains(err.Error(), "--resume") {
		t.Fatal(err) // no command goes on with what a server runs
	}
	g.release()
	for i, id := range []string{"second", "first"} {
		if r, err := s.doOnce(t.Context(), "p", id, day(2-i), Input{}); err != nil {
			t.Fatalf("%s: %v\n%s", id, err, r.text())
		}
		if n := len(rows(t, filepath.Join(s.o.Dir, "out"))); n != 60*(i+1) {
			t.Errorf("%d rows after %s", n, id)
		}
	}
}

// A file that has changed since is run anew: its rows are not of two makes.
func TestAChangedFileBeginsAnew(t *testing.T) {
	g := newGate(t)
	s := set(t, map[string]string{"p.yaml": g.gated("")})
	g.hold(45)
	ctx, leave := context.WithCancelCause(t.Context())
	ended, _ := s.begin(ctx, "p", "mine", 1)
	wait(t, g.at)
	leave(keeper.ErrHandover)
	<-ended
	g.release()
	put(t, s.o.Dir, map[string]string{"p.yaml": g.gated("memory: 2GiB\n")})
	if changed, err := s.Load(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	r, err := s.doOnce(t.Context(), "p", "mine", day(1), Input{})
	if err != nil || !strings.Contains(r.text(), "given up, since the pipeline file has changed") {
		t.Fatalf("%v\n%s", err, r.text())
	}
	if n := len(rows(t, filepath.Join(s.o.Dir, "out"))); n != 60 {
		t.Errorf("%d rows", n)
	}
}

// Runs of one pipeline take turns; one that waits can be cancelled.
func TestRunsTakeTurns(t *testing.T) {
	g := newGate(t)
	s := set(t, map[string]string{"p.yaml": g.gated("")})
	g.hold(45)
	first, _ := s.begin(t.Context(), "p", "first", 1)
	wait(t, g.at)
	ctx, cancel := context.WithCancelCause(t.Context())
	said := make(chan struct{})
	second := make(chan error, 1)
	go func() {
		e := s.Entries()[0]
		run := &schedule.Run{ID: "second", Schedule: "p", Scheduled: day(2), Attempt: 1}
		second <- e.Work.Run(ctx, run, func(schedule.Outcome) {}, func(line string) {
			if strings.Contains(line, "waiting for another run of this pipeline") {
				close(said)
			}
		})
	}()
	wait(t, said)
	cancel(keeper.ErrTimeout)
	if err := <-second; !errors.Is(err, keeper.ErrTimeout) {
		t.Error(err)
	}
	g.release()
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// A defect in a run ends the run alone.
func TestAPanicIsAFailedRun(t *testing.T) {
	s := set(t, map[string]string{"p.yaml": plain})
	err := s.Entries()[0].Work.Run(t.Context(), &schedule.Run{ID: "mine", Schedule: "p", Scheduled: day(1)}, func(schedule.Outcome) { panic("oh no") }, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "oh no") {
		t.Errorf("%v", err)
	}
	if _, err := s.doOnce(t.Context(), "p", "other", day(1), Input{}); err != nil {
		t.Errorf("the next: %v", err)
	}
}

// Rows that failed are listed, and run again into the output of their own time.
func TestDeadLettersRunAgain(t *testing.T) {
	for _, path := range []string{"out", "out/${run.scheduled_time}"} {
		g := newGate(t)
		s := set(t, map[string]string{"p.yaml": strings.Replace(g.gated(""), "path: out,", "path: '"+path+"',", 1)})
		records := map[string]schedule.Run{}
		s.o.Run = func(_ context.Context, id string) (schedule.Run, error) {
			if r, ok := records[id]; ok {
				return r, nil
			}
			return schedule.Run{}, keeper.ErrMissing
		}
		g.fail(7, 31)
		for n := range 2 {
			id := fmt.Sprintf("run%d", n+1)
			records[id] = schedule.Run{ID: id, Schedule: "p", Scheduled: day(n + 1)}
			if r, err := s.doOnce(t.Context(), "p", id, day(n+1), Input{}); err != nil {
				t.Fatalf("%v\n%s", err, r.text())
			}
		}
		d, err := s.DeadLetters(t.Context(), "p", pipeline.DeadFilter{}, 3)
		if err != nil || len(d.Groups) != 1 || d.Groups[0].Rows != 4 || d.Groups[0].Runs != 2 || len(d.Rows) != 3 || !strings.Contains(d.Rows[0].Error, "422") || fmt.Sprint(d.Rows[0].Data) != "map[i:7]" {
			t.Fatalf("%+v %v", d, err)
		}
		g.fail()
		delete(records, "run1") // as records are after a while
		r, err := s.doOnce(t.Context(), "p", "again", day(9), Input{Replay: &Replay{}})
		if err != nil || r.out.Rows != 4 {
			t.Fatalf("%d rows, %v\n%s", r.out.Rows, err, r.text())
		}
		if n := len(rows(t, filepath.Join(s.o.Dir, "out"))); n != 120 {
			t.Errorf("%s: %d rows", path, n)
		}
		if d, err = s.DeadLetters(t.Context(), "p", pipeline.DeadFilter{}, 3); err != nil || len(d.Rows)+len(d.Groups) > 0 {
			t.Errorf("left: %+v %v", d, err)
		}
		if r, err := s.doOnce(t.Context(), "p", "more", day(9), Input{Replay: &Replay{}}); err != nil || !strings.Contains(r.text(), "no row") {
			t.Errorf("%v\n%s", err, r.text())
		}
		if path == "out" {
			continue
		}
		// A place of its own keeps each time repeatable.
		if r, err := s.doOnce(t.Context(), "p", "run3", day(1), Input{}); err != nil {
			t.Fatalf("%v\n%s", err, r.text())
		}
		if n := len(rows(t, filepath.Join(s.o.Dir, "out"))); n != 120 {
			t.Errorf("repeated after a replay: %d rows", n)
		}
		out, err := s.Outputs(t.Context(), &schedule.Run{ID: "run3", Schedule: "p", Scheduled: day(1)})
		if err != nil || len(out.Sinks) != 1 || out.Sinks[0].Rows != 60 || out.Sinks[0].AllRows != 60 {
			t.Errorf("%+v %v", out, err)
		}
	}
}

// Rows are not put into the place of another time than their own.
func TestRowsOfATimeThatIsNotKnownDoNotRunAgain(t *testing.T) {
	g := newGate(t)
	s := set(t, map[string]string{"p.yaml": strings.Replace(g.gated(""), "path: out,", "path: 'out/${run.scheduled_time}',", 1)})
	record := schedule.Run{ID: "known", Schedule: "p", Scheduled: day(2)}
	away := false
	s.o.Run = func(_ context.Context, id string) (schedule.Run, error) {
		switch {
		case away:
			return schedule.Run{}, errors.New("the engine is away")
		case id == record.ID:
			return record, nil
		}
		return schedule.Run{}, keeper.ErrMissing
	}
	g.fail(7)
	byHand := schedule.Run{ID: "byhand", Schedule: "p", Scheduled: day(1), Created: day(1), Cause: schedule.ByHand, Attempt: 1} // for no time
	for _, run := range []schedule.Run{byHand, record} {
		if err := s.Entries()[0].Work.Run(t.Context(), &run, func(schedule.Outcome) {}, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	g.fail()
	away = true
	if _, err := s.doOnce(t.Context(), "p", "again", day(9), Input{Replay: &Replay{}}); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("%v", err)
	}
	away = false
	if _, err := s.doOnce(t.Context(), "p", "again", day(9), Input{Replay: &Replay{}}); !errors.Is(err, errTimeLost) || !strings.Contains(err.Error(), "--run byhand") {
		t.Errorf("%v", err)
	}
	d, err := s.DeadLetters(t.Context(), "p", pipeline.DeadFilter{}, 3)
	if err != nil || len(d.Rows) != 1 || d.Rows[0].Run != "byhand" || len(rows(t, filepath.Join(s.o.Dir, "out"))) != 119 {
		t.Errorf("left: %+v %v", d, err)
	}
}

// Who asks for a run's figures as it begins gets them.
func TestFiguresOfARunThatBegins(t *testing.T) {
	s := set(t, map[string]string{"p.yaml": plain})
	stop, seen := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				seen <- n
				return
			default:
			}
			if s.Live("mine") != nil {
				n++
			}
			runtime.Gosched()
		}
	}()
	for n := range 20 {
		if _, err := s.doOnce(t.Context(), "p", "mine", day(1+n), Input{}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if <-seen == 0 {
		t.Error("no figures were ever there")
	}
}
