package server

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// seriesOf is how many a collector has.
func seriesOf(t *testing.T, c prometheus.Collector) int {
	t.Helper()
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	all, err := r.Gather()
	if err != nil || len(all) != 1 {
		t.Fatalf("%d families, %v", len(all), err)
	}
	return len(all[0].Metric)
}

// counted is that of a counter.
func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.Counter.GetValue()
}

// TestLabelsAreBounded: whatever users call their queues.
func TestLabelsAreBounded(t *testing.T) {
	m := newMeters()
	now := time.Now().Add(time.Hour)
	for i := range 3 * maxLabels {
		m.see(&tasks.Task{Queue: fmt.Sprintf("q%d", i), Owner: fmt.Sprintf("o%d", i), State: tasks.Complete, Submitted: now, Started: now, Ended: now, Attempt: 1})
	}
	for what, c := range map[string]int{"queues": seriesOf(t, m.ended), "owners": seriesOf(t, m.owners)} {
		if c != maxLabels+1 {
			t.Errorf("%d series of %s", c, what)
		}
	}
	if n := counted(t, m.ended.WithLabelValues(other, "COMPLETE")); n != 2*maxLabels {
		t.Errorf("%v of the others", n)
	}

	var queues []queue.QueueInfo
	for i := range 250 {
		q := queue.QueueInfo{}
		q.Name, q.Pending = fmt.Sprintf("q%d", i), int64(i)
		queues = append(queues, q)
	}
	got, sum := bounded(queues), int64(0)
	for _, q := range got {
		sum += q.Pending
	}
	if len(got) != maxLabels || got[0].Name != "q249" || got[len(got)-1].Name != other || sum != 249*250/2 {
		t.Errorf("%d queues, first %s, last %s, %d tasks", len(got), got[0].Name, got[len(got)-1].Name, sum)
	}
}

// TestRefusalsAreTheServersOwn: an API's own 401, or a queue that is full, is nobody who tries
// tokens, of which an alert is made.
func TestRefusalsAreTheServersOwn(t *testing.T) {
	m := newMeters()
	o := observer{m, admin.NewRecorder(0)}
	r := httptest.NewRequest("GET", "/", nil)
	for _, x := range []struct {
		api    string
		status int
	}{{"tasks", 401}, {"tasks", 429}, {"prices", 401}, {"prices", 403}, {"prices", 429}, {"", 401}, {"tasks", 403}} {
		o.Done(&exchange.Exchange{API: x.api}, r, x.status, 0, 0)
	}
	for reason, want := range map[string]float64{unauthenticated: 2, "forbidden": 1, limited: 0} {
		if n := counted(t, m.denied.WithLabelValues(reason)); n != want {
			t.Errorf("%s: %v, want %v", reason, n, want)
		}
	}
}

func TestWhatEndedBeforeIsNotCounted(t *testing.T) {
	m := newMeters()
	before, after := m.since.Add(-time.Second), m.since.Add(time.Second)
	f := func(want float64, task tasks.Task) {
		t.Helper()
		task.Queue = "q"
		m.see(&task)
		if n := counted(t, m.ended.WithLabelValues("q", string(task.State))); n != want {
			t.Errorf("%s: %v, want %v", task.State, n, want)
		}
	}
	f(0, tasks.Task{State: tasks.Complete, Ended: before})
	f(1, tasks.Task{State: tasks.Complete, Ended: after})
	f(0, tasks.Task{State: tasks.Running})
	f(0, tasks.Task{State: tasks.Moved, Ended: after})
	f(1, tasks.Task{State: tasks.Error, Ended: after, Past: []tasks.Attempt{{Cause: tasks.CauseHost}, {Cause: tasks.CauseError}}})
	if n := counted(t, m.attempts.WithLabelValues(tasks.CauseHost)); n != 1 {
		t.Errorf("%v attempts were lost", n)
	}
}
