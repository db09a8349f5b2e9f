package server

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// TestSettingsAreDeleted by their owner or an administrator, and by nobody else.
func TestSettingsAreDeleted(t *testing.T) {
	s := serve(t, func(f *File) { f.Auth = "always" })
	ana, bo, ada := s.as(t, "ana", tokens.Submit), s.as(t, "bo", tokens.Submit), s.as(t, "ada", tokens.Admin)
	status := func(err error) int {
		var f *api.Fault
		if errors.As(err, &f) {
			return f.Status
		}
		if err != nil {
			t.Error(err)
		}
		return 200
	}
	for _, setup := range []string{"x <- 1", "x <- 2"} {
		if _, err := ana.SetEnvironment(t.Context(), "hers", &api.Environment{Setup: setup}); err != nil {
			t.Fatal(err)
		}
	}
	if got := status(bo.DeleteEnvironment(t.Context(), "hers")); got != 403 {
		t.Errorf("bo deletes ana's environment: %d", got)
	}
	if got := status(ana.DeleteEnvironment(t.Context(), "hers")); got != 200 {
		t.Errorf("ana deletes her environment: %d", got)
	}
	for _, name := range []string{"hers", "hers@1"} {
		if _, err := ana.Environment(t.Context(), name); status(err) != 404 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := status(ana.DeleteEnvironment(t.Context(), "hers")); got != 404 {
		t.Errorf("what is not there: %d", got)
	}

	if err := ada.SetWorkerConfig(t.Context(), "gpu", &api.WorkerConfig{Max: 2}); err != nil {
		t.Fatal(err)
	}
	if got := status(ana.DeleteWorkerConfig(t.Context(), "gpu")); got != 403 {
		t.Errorf("ana deletes a worker configuration: %d", got)
	}
	if got := status(ada.DeleteWorkerConfig(t.Context(), "gpu")); got != 200 {
		t.Errorf("ada deletes a worker configuration: %d", got)
	}
	if _, err := ada.WorkerConfig(t.Context(), "gpu"); status(err) != 404 {
		t.Errorf("%v", err)
	}
}

// TestOwnersAreListed: all to who may read, oneself to others.
func TestOwnersAreListed(t *testing.T) {
	s := serve(t, func(f *File) { f.Auth = "always" })
	ana, reader, ada := s.as(t, "ana", tokens.Submit), s.as(t, "rae", tokens.Read), s.as(t, "ada", tokens.Admin)
	submit(t, ana, `{"expr": "1", "queue": "nobody"}`)
	most := 3
	if _, err := ada.SetOwner(t.Context(), "bo", api.OwnerSettings{MaxRunning: &most}); err != nil {
		t.Fatal(err)
	}
	all, err := reader.Owners(t.Context())
	if err != nil || len(all.Owners) != 2 || all.Owners[0].States["PENDING"] != 1 || all.Owners[1].Owner != "bo" || all.Owners[1].MaxRunning != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	own, err := ana.Owners(t.Context())
	if err != nil || len(own.Owners) != 1 || own.Owners[0].Owner != "ana" {
		t.Errorf("%+v, %v", own, err)
	}
}

// TestOneOwnerLeavesPlaces: who waits and follows too much is refused, and others are not.
func TestOneOwnerLeavesPlaces(t *testing.T) {
	s := serve(t, func(f *File) { f.Auth, f.Limits.StreamsPerOwner = "always", 1 })
	ana, bo := s.as(t, "ana", tokens.Submit), s.as(t, "bo", tokens.Submit)
	ja, jb := submit(t, ana, `{"expr": "1", "queue": "nobody"}`), submit(t, bo, `{"expr": "1", "queue": "nobody"}`)
	waits := make(chan error, 1)
	go func() {
		_, err := ana.Wait(t.Context(), api.WaitRequest{IDs: []string{ja.ID}})
		waits <- err
	}()
	eventually(t, func() bool { return s.streams.used() == 1 })
	var f *api.Fault
	if _, err := ana.Wait(t.Context(), api.WaitRequest{IDs: []string{ja.ID}, Timeout: api.For(time.Second)}); !errors.As(err, &f) || f.Status != 429 || f.Code != "too_many_streams" {
		t.Errorf("a second request that waits: %v", err)
	}
	if w, err := bo.Wait(t.Context(), api.WaitRequest{IDs: []string{jb.ID}, Timeout: api.For(time.Millisecond)}); err != nil || w.Done {
		t.Errorf("another owner: %+v, %v", w, err)
	}
	if _, err := ana.Cancel(t.Context(), ja.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
	eventually(t, func() bool { return s.streams.used() == 0 })
}

// TestNoTimeIsNoWait: the answer says how far it is, of tasks, small jobs and large ones.
func TestNoTimeIsNoWait(t *testing.T) {
	s := serve(t, nil)
	j := submit(t, s.c, `{"fun": "identity", "over": [1, 2, 3], "queue": "nobody"}`)
	if _, err := s.c.Cancel(t.Context(), j.ID+".2"); err != nil {
		t.Fatal(err)
	}
	for _, zero := range []string{`"0s"`, `0`} {
		began := time.Now()
		status, _, body := s.ask(t, "POST", "/v1/wait", `{"ids": ["`+j.ID+`", "`+j.ID+`.2"], "timeout": `+zero+`}`)
		var w api.WaitResult
		if err := json.Unmarshal([]byte(body), &w); err != nil || status != 200 || w.Done || w.States["PENDING"] != 2 || w.States["CANCELLED"] != 2 {
			t.Errorf("timeout %s: %d %s", zero, status, body)
		}
		if took := time.Since(began); took > defaultWait/2 {
			t.Errorf("timeout %s took %s", zero, took)
		}
	}
	if _, err := s.c.Cancel(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	if w, err := s.c.Wait(t.Context(), api.WaitRequest{IDs: []string{j.ID}, Timeout: api.For(0)}); err != nil || !w.Done {
		t.Errorf("%+v, %v", w, err)
	}
}
