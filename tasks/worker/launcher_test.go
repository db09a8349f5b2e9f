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

// opened is a server, and a connection to it by a join, as the launcher has it.
func opened(t *testing.T) (server, b *broker.Broker) {
	t.Helper()
	cluster, err := broker.OpenCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err = broker.Open(t.Context(), broker.Options{
		Dir: filepath.Join(t.TempDir(), "store"), Durability: broker.Durability("interval:200ms"), Listen: "127.0.0.1:0", Cluster: cluster, Name: "server",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	b, err = Connect(t.Context(), &Options{Join: cluster.Join(false, server.URL()).String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return server, b
}

// TestNoWorkersForPausedQueues: what waits in a queue that is paused is no reason to submit
// workers, until it is resumed.
func TestNoWorkersForPausedQueues(t *testing.T) {
	server, b := opened(t)
	s := &sightings{broker: b, queues: []string{"p", "q"}, jobs: make(map[string]struct{})}
	for i, queue := range []string{"p", "p", "q"} {
		if err := server.Push(t.Context(), []broker.Work{{Queue: queue, Job: "01jd3x7v9qk2m4n6p8r0s2t4v6", N: i + 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, paused := range []bool{true, false} {
		data, err := json.Marshal(tasks.QueueConfig{Name: "p", Paused: paused})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write(t.Context(), broker.Write{Subject: tasks.QueueSubject("p"), Data: data, Any: true}); err != nil {
			t.Fatal(err)
		}
		want := int64(3)
		if paused {
			want = 1
		}
		if d, err := s.demand(t.Context()); err != nil || d.Tasks != want {
			t.Errorf("paused %v: %d tasks, want %d: %v", paused, d.Tasks, want, err)
		}
	}
}

// TestAWorkerBetweenTwoLooks: one that comes and goes between two looks was seen, once.
func TestAWorkerBetweenTwoLooks(t *testing.T) {
	server, b := opened(t)
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
