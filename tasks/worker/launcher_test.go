//go:build unix

package worker

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// TestAWorkerBetweenTwoLooks: one that comes and goes between two looks was seen, once.
func TestAWorkerBetweenTwoLooks(t *testing.T) {
	cluster, err := broker.OpenCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := broker.Open(t.Context(), broker.Options{
		Dir: filepath.Join(t.TempDir(), "store"), Durability: broker.Durability("interval:200ms"), Listen: "127.0.0.1:0", Cluster: cluster, Name: "server",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	// By a join, as the launcher: may it watch?
	b, err := Connect(t.Context(), &Options{Join: cluster.Join(false, server.URL()).String()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s := &sightings{broker: b, queues: []string{"q"}, jobs: make(map[string]struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var watcher conc.WaitGroup
	defer watcher.Wait()
	defer cancel()
	watcher.Go(func() { s.watch(ctx) })

	seen := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.jobs)
	}
	for name, w := range map[string]tasks.Worker{
		"1": {Job: "101", Queues: []string{"q", "other"}},
		"2": {Job: "102", Queues: []string{"other"}}, // not ours
		"3": {Queues: []string{"q"}},                 // no job
		"4": {Job: "104", Queues: []string{"q"}},
	} {
		data, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Announce(t.Context(), tasks.WorkerKey(name), data, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two are seen", func() bool { return seen() == 2 })
	if err := server.Withdrawn(t.Context(), tasks.WorkerKey("4")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 1} { // the second time the one that is there still
		d, err := s.demand(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := d.Workers["101"]; !ok || len(d.Workers) != want {
			t.Errorf("workers of %v, want %d", d.Workers, want)
		}
	}
}
