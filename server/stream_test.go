package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// TestAJobIsFollowedToItsEnd: states, lines, progress, and an end.
func TestAJobIsFollowedToItsEnd(t *testing.T) {
	s := withR.get(t)
	gate := filepath.Join(t.TempDir(), "gate")
	j := submit(t, s.c, `{"fun": "function(x, gate) { while (!file.exists(gate)) Sys.sleep(0.01); cat('line', x, '\\n'); message('note'); signalCondition(structure(class = c('progress', 'condition'), list(message = x / 2, call = NULL))); x }",
		"over": [1, 2], "args": {"gate": "`+gate+`"}}`)
	var states, lines, progress, kinds []string
	err := s.c.Events(t.Context(), j.ID, func(e *api.Event) error {
		kinds = append(kinds, e.Type)
		switch e.Type {
		case "task":
			states = append(states, e.State)
			if e.State == "RUNNING" {
				return os.WriteFile(gate, nil, 0o644)
			}
		case "log":
			for _, line := range e.Lines {
				lines = append(lines, e.Stream+":"+strings.TrimSpace(line))
			}
		case "progress":
			progress = append(progress, string(e.Progress.JSON))
		case "end":
			if e.State != "finish" {
				t.Errorf("%+v", e)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(states, " ")
	if strings.Count(all, "COMPLETE") != 2 || kinds[len(kinds)-1] != "end" {
		t.Errorf("%v %v", all, kinds)
	}
	if got := strings.Join(lines, ","); strings.Count(got, "stdout:line") != 2 || strings.Count(got, "message:note") != 2 {
		t.Error(got)
	}
	if len(progress) == 0 {
		t.Errorf("no progress in %v", kinds)
	}

	// The same, when it is over.
	task := j.ID + ".2"
	p, err := s.c.Progress(t.Context(), task)
	if err != nil || p.Value == nil || string(p.Value.JSON) != "1" || p.Time == nil {
		t.Errorf("%+v, %v", p, err)
	}
	f := func(read func(fn func(*api.LogLine) error) error) (got []string, last uint64) {
		t.Helper()
		if err := read(func(l *api.LogLine) error {
			got, last = append(got, l.Stream+":"+strings.TrimSpace(l.Line)), l.Seq
			return nil
		}); err != nil {
			t.Error(err)
		}
		return got, last
	}
	whole, last := f(func(fn func(*api.LogLine) error) error { return s.c.Log(t.Context(), task, 0, false, fn) })
	if strings.Join(whole, ",") != "stdout:line 2,message:note" {
		t.Errorf("%q", whole)
	}
	if followed, _ := f(func(fn func(*api.LogLine) error) error { return s.c.Log(t.Context(), task, 0, true, fn) }); strings.Join(followed, ",") != strings.Join(whole, ",") {
		t.Errorf("%q", followed)
	}
	if rest, _ := f(func(fn func(*api.LogLine) error) error { return s.c.Log(t.Context(), task, last, false, fn) }); len(rest) != 0 {
		t.Errorf("%q", rest)
	}
	if _, _, body := s.ask(t, "GET", "/v1/tasks/"+task+"/log?after=0", "", "Last-Event-ID", strconv.FormatUint(last, 10)); body != "" {
		t.Errorf("who comes back is told again: %q", body)
	}
	if status, _, body := s.ask(t, "GET", "/v1/tasks/"+task+"/log", "", "Accept", "text/plain"); status != 200 || !strings.HasPrefix(body, "line 2") {
		t.Errorf("%d %q", status, body)
	}
	var once []string
	if err := s.c.Events(t.Context(), task, func(e *api.Event) error { once = append(once, e.Type+e.State); return nil }); err != nil || once[0] != "taskCOMPLETE" && !strings.HasPrefix(once[0], "log") || once[len(once)-1] != "endCOMPLETE" {
		t.Errorf("%v, %v", once, err)
	}
}

// TestADrainIsNoEndOfALog: who follows one asks again, and is told more.
func TestADrainIsNoEndOfALog(t *testing.T) {
	s := serve(t, nil)
	j := submit(t, s.c, `{"expr": "1", "queue": "nobody"}`)
	told := make(chan string)
	go func() {
		_, _, body := s.ask(t, "GET", "/v1/tasks/"+j.ID+".1/log?follow", "", "Accept", api.Stream)
		told <- body
	}()
	eventually(t, func() bool { return s.streams.used() == 1 })
	s.DrainLater()
	if body := <-told; !strings.Contains(body, "retry:") || strings.Contains(body, "event: end") {
		t.Errorf("%q", body)
	}
}

// TestAStreamGoesOnWhereItBroke: what changed since the last event is told first.
func TestAStreamGoesOnWhereItBroke(t *testing.T) {
	s := serve(t, nil)
	j := submit(t, s.c, `{"fun": "identity", "over": [1, 2, 3], "queue": "nobody"}`)
	cancelled, err := s.c.Cancel(t.Context(), j.ID+".1")
	if err != nil || !cancelled.Outcomes[0].OK {
		t.Fatalf("%+v, %v", cancelled, err)
	}
	var last string
	done := errors.New("seen")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	after := make(chan error, 1)
	started := make(chan bool)
	go func() {
		after <- s.c.Events(ctx, j.ID, func(e *api.Event) error {
			if e.Type == "task" && e.State == "CANCELLED" && e.Task == j.ID+".2" {
				last = e.ID
				return done
			}
			return nil
		})
	}()
	close(started)
	<-started
	// The stream may begin after the change; then it is changed again below.
	eventually(t, func() bool { return s.streams.used() == 1 })
	if _, err := s.c.Cancel(t.Context(), j.ID+".2"); err != nil {
		t.Fatal(err)
	}
	if err := <-after; !errors.Is(err, done) {
		t.Fatal(err)
	}
	if _, err := strconv.ParseUint(last, 10, 64); err != nil {
		t.Fatalf("the event's id is %q", last)
	}
	if _, err := s.c.Cancel(t.Context(), j.ID+".3"); err != nil {
		t.Fatal(err)
	}
	_, h, body := s.ask(t, "GET", "/v1/jobs/"+j.ID+"/events", "", "Last-Event-ID", last)
	if h.Get("Content-Type") != api.Stream || strings.Contains(body, j.ID+`.2"`) || strings.Contains(body, j.ID+`.1"`) || !strings.Contains(body, j.ID+`.3"`) || !strings.Contains(body, "event: end") {
		t.Errorf("%v %s", h, body)
	}
}

// TestStreamsHaveALimit, and give their places back.
func TestStreamsHaveALimit(t *testing.T) {
	s := serve(t, func(f *File) { f.Limits.Streams = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- s.c.Events(ctx, "", func(*api.Event) error { return nil }) }()
	eventually(t, func() bool { return s.streams.used() == 1 })
	j := submit(t, s.c, `{"expr": "1", "queue": "nobody"}`)
	if f := s.fault(t, 503, "POST", "/v1/wait", `{"ids": ["`+j.ID+`"], "timeout": 1}`); f.Code != "too_many_streams" {
		t.Errorf("%+v", f)
	}
	cancel()
	<-left
	eventually(t, func() bool { return s.streams.used() == 0 })
	if r, err := s.c.Wait(t.Context(), api.WaitRequest{IDs: []string{j.ID}, Timeout: api.For(1e7)}); err != nil || r.Done || r.States["PENDING"] != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestADrainEndsWhatLasts: streams and waiting requests, at once.
func TestADrainEndsWhatLasts(t *testing.T) {
	s := begin(t, config(t.TempDir()), Options{})
	defer s.close()
	j := submit(t, s.c, `{"expr": "1", "queue": "nobody"}`)
	ends := make(chan error, 2)
	go func() { ends <- s.c.Events(t.Context(), j.ID, func(*api.Event) error { return nil }) }()
	go func() {
		_, err := s.c.Wait(t.Context(), api.WaitRequest{IDs: []string{j.ID}})
		ends <- err
	}()
	eventually(t, func() bool { return s.streams.used() == 2 })
	s.DrainLater()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ends; err == nil {
			t.Error("it goes on")
		}
	}
}

// TestWhatLastsIsNotAskedByHead: the connection would wait for an end that nobody sees.
func TestWhatLastsIsNotAskedByHead(t *testing.T) {
	s := serve(t, nil)
	j := submit(t, s.c, `{"expr": "1", "queue": "nobody"}`)
	f := func(want int, path string) {
		t.Helper()
		if status, _, _ := s.ask(t, "HEAD", path, ""); status != want {
			t.Errorf("HEAD %s: %d, want %d", path, status, want)
		}
	}
	f(405, "/v1/events")
	f(405, "/v1/jobs/"+j.ID+"/events")
	f(405, "/v1/tasks/"+j.ID+".1/log?follow=true")
	f(405, "/v1/jobs/"+j.ID+"/results?follow")
	f(200, "/v1/tasks/"+j.ID+".1/log")
	f(200, "/v1/jobs/"+j.ID)
	eventually(t, func() bool { return s.streams.used() == 0 })
}

// TestAShortWaitIsNoError, however short: clients ask so when their own time is nearly over.
func TestAShortWaitIsNoError(t *testing.T) {
	s := serve(t, nil)
	j := submit(t, s.c, `{"expr": "1", "queue": "nobody"}`)
	status, _, body := s.ask(t, "POST", "/v1/wait", `{"ids": ["`+j.ID+`"], "timeout": 1e-9}`)
	if status != 200 || !strings.Contains(body, `"done":false`) {
		t.Errorf("%d %s", status, body)
	}
}
