//go:build unix

package admin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

// TestThePageSaysWhyAnAPIDoesNotStart: with R's own words, and when it is tried again.
func TestThePageSaysWhyAnAPIDoesNotStart(t *testing.T) {
	pool, err := rpool.New(rpool.Options{Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	env := &rpool.Environment{Setup: `message("looking for the licence"); stop("no licence")`, Handler: shop}
	var start *rpool.StartError
	if err := pool.Warm(t.Context(), env, 1); !errors.As(err, &start) {
		t.Fatal(err)
	}
	fingerprint := env.Fingerprint()
	a, _ := newAdmin(t, sourceFunc(func() Snapshot {
		return Snapshot{
			APIs:  []API{{Name: "prices", Path: "/", Pool: "default", Environment: fingerprint, Generation: 1}},
			Pools: []Pool{{Name: "default", Stats: pool.Stats()}},
		}
	}), nil)
	s := stateOf(t, a)
	if got := s.APIs[0]; s.Ready || got.State != "failed" || !strings.Contains(got.Reason, "no licence") || !strings.Contains(got.Reason, "looking for the licence") {
		t.Errorf("%s: %s", got.State, got.Reason)
	}
	e := s.Pools[0].Environments[0]
	if e.Failures != 1 || !strings.Contains(e.Failure, "no licence") || len(e.Workers) != 0 || time.Until(e.NotBefore) > time.Minute {
		t.Errorf("%+v", e)
	}
	if i := s.Pools[0].Incidents; len(i) != 1 || i[0].Cause != "start" {
		t.Errorf("%+v", i)
	}
}
