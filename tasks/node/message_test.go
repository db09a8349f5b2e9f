//go:build unix

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// tell sends a message to a worker, and is the answer.
func (w *world) tell(worker string, m tasks.Message) tasks.Answer {
	w.Helper()
	var data []byte
	w.until("the worker listens", func() bool {
		var err error
		if data, err = w.b.Request(w.Context(), tasks.MessageSubject(worker), w.json(&m)); err != nil && !errors.Is(err, broker.ErrNoResponder) {
			w.Fatal(err)
		}
		return err == nil
	})
	var a tasks.Answer
	if err := json.Unmarshal(data, &a); err != nil {
		w.Fatal(err)
	}
	return a
}

// gated is a task that runs until open is called.
func gated(t *testing.T) (code string, open func()) {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "go")
	return fmt.Sprintf("while (!file.exists(%q)) Sys.sleep(0.01)", gate), func() {
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

func TestMessages(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{ID: "one", Queues: []string{"default", "other"}, Version: "1.2.3"})
	f := func(m tasks.Message, want string) {
		t.Helper()
		a := w.tell("one", m)
		got, err := json.Marshal(a.Value)
		if err != nil {
			t.Fatal(err)
		}
		if !a.OK {
			got = []byte(a.Error)
		}
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, want %s", m.Type, got, want)
		}
	}
	f(tasks.Message{Type: "ping"}, `"pong"`)
	f(tasks.Message{Type: "echo", Text: "héllo"}, `"héllo"`)
	f(tasks.Message{Type: "info"}, `"version":"1.2.3"`)
	f(tasks.Message{Type: "load"}, `"s15":`)
	f(tasks.Message{Type: "timeout_get"}, `0`)
	f(tasks.Message{Type: "timeout_set", Seconds: 1000}, `1000`)
	f(tasks.Message{Type: "timeout_get"}, `1000`)
	f(tasks.Message{Type: "eval", Text: "x <- 6 * 7; x; print(x)"}, `"[1] 42\n"`)
	f(tasks.Message{Type: "eval", Text: "stop('not so')"}, "not so")
	f(tasks.Message{Type: "nonsense"}, "knows no message")
	f(tasks.Message{Type: "queues"}, "at least one")
	f(tasks.Message{Type: "queues", Queues: []string{"a b"}}, "cannot be the name of a queue")

	// Paused it takes nothing, and lets what runs end.
	code, open := gated(t)
	first := w.submit(tasks.Job{Call: expr(code)})
	w.until("R has it", func() bool { return n.Info().Busy == 1 })
	f(tasks.Message{Type: "pause"}, "null")
	second := w.submit(tasks.Job{Call: expr("1")})
	open()
	w.await(first, 1, tasks.Complete)
	if s := n.Info().State; s != "PAUSED" {
		t.Error(s)
	}
	if s := w.task(second, 1).State; s != tasks.Pending {
		t.Errorf("a paused worker has taken a task: %s", s)
	}
	f(tasks.Message{Type: "resume"}, "null")
	w.await(second, 1, tasks.Complete)

	// Other queues.
	f(tasks.Message{Type: "queues", Queues: []string{"third"}}, "null")
	w.await(w.submit(tasks.Job{Call: expr("1"), Queue: "third"}), 1, tasks.Complete)

	// Present for all to see, until it stops.
	there, err := w.b.Present(t.Context(), tasks.WorkerKeys)
	if err != nil || len(there) != 1 {
		t.Fatalf("%v %v", there, err)
	}
	code, open = gated(t)
	last := w.submit(tasks.Job{Call: expr(code), Queue: "third"})
	w.until("R has it", func() bool { return n.Info().Busy == 1 })
	f(tasks.Message{Type: "stop", Text: "enough"}, "null")
	if s := n.Info().State; s != "STOPPING" {
		t.Error(s)
	}
	open()
	<-n.done
	if n.err != nil {
		t.Error(n.err)
	}
	w.await(last, 1, tasks.Complete)
	if there, err := w.b.Present(t.Context(), tasks.WorkerKeys); err != nil || len(there) != 0 {
		t.Errorf("%v %v", there, err)
	}
	if info := n.Info(); info.Done != 4 || info.R == "" || info.Load.All <= 0 {
		t.Errorf("%+v", info)
	}
	// and its log says all of it
	job, number := tasks.WorkerLog("one")
	lines, _ := w.told(&tasks.Job{ID: job}, number)
	log := strings.Join(lines, "\n")
	for _, want := range []string{"ALIVE default, other", "MESSAGE pause", "QUEUE third", "MESSAGE stop enough", "STOP"} {
		if !strings.Contains(log, want) {
			t.Errorf("the worker's log lacks %q:\n%s", want, log)
		}
	}
}

// What does not end within the grace goes back, and does not count.
func TestDrain(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{ID: "one", Grace: 300 * time.Millisecond})
	job := w.submit(tasks.Job{Call: expr("if (Sys.getenv('RPIPE_WORKER_ID') == 'one') Sys.sleep(60); 'done'")})
	w.until("R has it", func() bool { return n.Info().Busy == 1 })
	n.Drain()
	<-n.done
	if n.err != nil {
		t.Error(n.err)
	}
	if got := w.task(job, 1); got.State != tasks.Pending || causes(got) != "worker_stopped" || got.Lost != 0 {
		t.Errorf("%+v", got)
	}
	w.worker(Options{ID: "two"})
	if got := w.await(job, 1, tasks.Complete); causes(got) != "worker_stopped done" {
		t.Error(causes(got))
	}
}

// What was claimed and has not begun is as if nothing had been.
func TestWhatHasNotBegunGoesBack(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{ID: "one"})
	w.end(w.submit(tasks.Job{Call: r("function(x) x")}, number64(1), number64(2), number64(3), number64(4))) // it is fast, and claims ahead
	code, open := gated(t)
	job := w.submit(tasks.Job{Call: r("function(x) " + code)}, number64(1), number64(2), number64(3), number64(4))
	w.until("some are claimed ahead", func() bool { return w.count(job, tasks.Running) > 1 })
	// It takes too long: the others may have them.
	w.until("they have been given back", func() bool { return w.count(job, tasks.Running) == 1 })
	for k := 1; k <= 4; k++ {
		if got := w.task(job, k); got.State == tasks.Pending && (got.Attempt != 0 || len(got.Past) != 0 || got.Lease != nil) {
			t.Errorf("%+v", got)
		}
	}
	two := w.worker(Options{ID: "two"})
	w.until("the second has one", func() bool { return two.Info().Busy == 1 })
	open()
	w.end(job)
	n.end()
}

func TestIdleTimeoutAndConfiguration(t *testing.T) {
	w := newWorld(t, broker.Options{})
	data := w.json(tasks.WorkerConfig{Name: "small", Queues: []string{"short", "long"}, Max: 3, IdleTimeout: 300 * time.Millisecond, MaxTasks: 5})
	if _, err := w.b.Write(t.Context(), broker.Write{Subject: tasks.WorkerConfigSubject("small"), Data: data, Any: true}); err != nil {
		t.Fatal(err)
	}
	job := w.submit(tasks.Job{Call: expr("1"), Queue: "long"})
	n := w.worker(Options{Config: "small", Max: 2})
	w.await(job, 1, tasks.Complete)
	if i := n.Info(); i.Max != 2 || !slices.Equal(i.Queues, []string{"short", "long"}) || i.Config != "small" {
		t.Errorf("%+v", i)
	}
	<-n.done
	if !errors.Is(n.err, ErrIdle) {
		t.Error(n.err)
	}
	n = w.worker(Options{Config: "large"})
	<-n.done
	if n.err == nil || !strings.Contains(n.err.Error(), `no worker configuration "large"`) {
		t.Error(n.err)
	}
	if _, err := New(w.b, w.s, Options{ID: "a b", CacheDir: t.TempDir()}); err == nil {
		t.Error("a name that cannot be one is accepted")
	}
}

// Nothing of a queue that is paused is claimed, and all of it when it is not any more.
func TestQueueIsPaused(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{Queues: []string{"a", "b"}})
	pause := func(on bool) {
		t.Helper()
		data := w.json(tasks.QueueConfig{Name: "a", Paused: on})
		if _, err := w.b.Write(t.Context(), broker.Write{Subject: tasks.QueueSubject("a"), Data: data, Any: true}); err != nil {
			t.Fatal(err)
		}
		if err := w.b.Publish(tasks.QueuesChanged, nil); err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	in := w.submit(tasks.Job{Call: expr("1"), Queue: "a"})
	for range 3 {
		w.await(w.submit(tasks.Job{Call: expr("1"), Queue: "b"}), 1, tasks.Complete)
	}
	if s := w.task(in, 1).State; s != tasks.Pending {
		t.Error(s)
	}
	pause(false)
	w.await(in, 1, tasks.Complete)
}

// TestQueuesThatCouldNotBeChanged: where the store was away just then, they are later.
func TestQueuesThatCouldNotBeChanged(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{ID: "one", AckWait: 3 * time.Second})
	w.tell("one", tasks.Message{Type: "ping"})
	away, cancel := context.WithCancel(t.Context())
	cancel()
	n.mu.Lock()
	n.queues = []string{"further"}
	n.mu.Unlock()
	if err := n.useQueues(away); err == nil {
		t.Fatal("the queues were changed")
	}
	j := expr("1")
	w.await(w.submit(tasks.Job{Call: j, Queue: "further"}), 1, tasks.Complete)
}

func TestProgressAndLongLogs(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{})
	code, open := gated(t)
	job := w.submit(tasks.Job{Call: r(`function() {
		for (i in 1:5000) cat("line", i, "\n")
		signalCondition(structure(list(message = 0.25), class = c("progress", "condition")))
		message("waits")
		` + code + `
		signalCondition(structure(list(message = "at the end"), class = c("progress", "condition")))
		cat(strrep("x", 40000), "\n")
	}`)})
	last := func() string {
		_, v := w.told(job, 1)
		if v == nil {
			return ""
		}
		x, err := rdata.Unmarshal(v.Data, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := x.(*rdata.Double); ok {
			return fmt.Sprint(d.Values[0])
		}
		return string(x.(*rdata.Character).Data)
	}
	w.until("it tells of its progress while it runs", func() bool { return last() == "0.25" })
	w.until("it tells lines while it runs", func() bool {
		lines, _ := w.told(job, 1)
		return slices.Contains(lines, "message waits")
	})
	open()
	w.await(job, 1, tasks.Complete)
	lines, _ := w.told(job, 1)
	if len(lines) < 5001 || lines[0] != "stdout line 1 " || lines[4999] != "stdout line 5000 " || last() != "at the end" {
		t.Errorf("%d lines, progress %s", len(lines), last())
	}
	if rest := strings.Join(lines[5001:], ""); strings.Count(rest, "x") != 40000 {
		t.Errorf("a long line has %d of 40000 characters", strings.Count(rest, "x"))
	}
	// A log has an end.
	flood := w.submit(tasks.Job{Call: expr("l <- strrep('y', 9999); for (i in 1:1000) cat(l, '\\n')")})
	w.await(flood, 1, tasks.Complete)
	lines, _ = w.told(flood, 1)
	size := 0
	for _, l := range lines {
		size += len(l)
	}
	if size > toldMost+100<<10 || !strings.Contains(lines[len(lines)-1], "the log ends here") {
		t.Errorf("%d bytes, %s", size, lines[len(lines)-1])
	}
}

// What is much longer as JSON is in the log too.
func TestLinesThatJSONMakesLong(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{})
	job := w.submit(tasks.Job{Call: expr(`cat(strrep("<", 16000), "\n", rep(paste0(strrep("\033", 500), "\n"), 30), sep = "")`)})
	w.await(job, 1, tasks.Complete)
	lines, _ := w.told(job, 1)
	all := strings.Join(lines, "")
	if a, b := strings.Count(all, "<"), strings.Count(all, "\033"); a != 16000 || b != 15000 {
		t.Errorf("%d of 16000, %d of 15000", a, b)
	}
}
