package server

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

func TestSeries(t *testing.T) {
	start := time.Date(2026, 3, 8, 12, 0, 2, 0, time.UTC)
	now := start
	s := newSeries()
	s.since, s.now = start, func() time.Time { return now }
	ended := func(state tasks.State, at time.Time, wait, run time.Duration) {
		s.see(&tasks.Task{State: state, Submitted: at.Add(-run - wait), Started: at.Add(-run), Ended: at, Attempt: 1})
	}
	ended(tasks.Complete, start.Add(-time.Second), 0, 0) // before the server was up: counted then
	s.see(&tasks.Task{State: tasks.Running, Started: start})
	now = start.Add(10 * time.Minute)
	for range 99 {
		ended(tasks.Complete, start.Add(time.Minute), time.Second, 100*time.Millisecond)
	}
	ended(tasks.Error, start.Add(time.Minute), time.Second, 10*time.Second)
	ended(tasks.Cancelled, now, 0, 0)
	ended(tasks.Complete, now.Add(time.Hour), 0, 0) // by a clock that is fast: now
	s.take(now, &sample{queues: map[string][2]int64{"short": {7, 2}}, workers: api.WorkerSample{Known: true, Busy: 2}})

	d := s.document("15m")
	step := func(at time.Time) int { return int(at.Sub(d.From) / (5 * time.Second)) }
	if n := len(d.Complete); n != 180 || len(d.Run.P50) != n || len(d.Workers) != n || len(d.Queues[0].Pending) != n {
		t.Fatalf("%d steps", n)
	}
	at, last := step(start.Add(time.Minute)), step(now)
	if last != 179 || d.Complete[at] != 99 || d.Failed[at] != 1 || d.Cancelled[last] != 1 || d.Complete[last] != 1 {
		t.Errorf("%d %d %d, last %d %d", d.Complete[at], d.Failed[at], last, d.Cancelled[last], d.Complete[last])
	}
	if d.Total.Complete != 100 || d.Total.Failed != 1 || math.Abs(d.Total.Rate-102.0/600) > 1e-9 {
		t.Errorf("%+v", d.Total)
	}
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got/want-1) > 0.1 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("p50", d.Run.P50[at], 0.1)
	near("p99", d.Total.Run.P99, 0.1)
	near("wait", d.Total.Wait.P90, 1)
	if d.Run.P50[at+1] != nil {
		t.Error("a duration of nothing")
	}
	if q := d.Queues[0]; q.Name != "short" || *q.Pending[last] != 7 || *q.Running[last] != 2 || q.Pending[0] != nil || d.Workers[last].Busy != 2 || d.Workers[0].Known {
		t.Errorf("%+v", d.Queues)
	}
	for _, name := range []string{"1h", "24h"} {
		if d := s.document(name); d.Total.Complete != 100 || len(d.Complete) != 180 {
			t.Errorf("%s: %+v", name, d.Total)
		}
	}
	now = start.Add(2 * time.Hour) // the ring of an hour has been gone round
	if d := s.document("1h"); d.Total.Complete != 0 {
		t.Errorf("after two hours: %+v", d.Total)
	}
	if d := s.document("24h"); d.Total.Complete != 100 {
		t.Errorf("in a day: %+v", d.Total)
	}
}

// TestSpread: quantiles are at most a tenth off.
func TestSpread(t *testing.T) {
	for d := time.Millisecond; d < 300*time.Hour; d = d * 17 / 10 {
		var s, o spread
		for range 10 {
			o.add(d)
		}
		o.add(1000 * time.Hour)
		s.merge(&o)
		if got := *s.quantile(0.5); math.Abs(got/d.Seconds()-1) > 0.1 {
			t.Errorf("of %v: %v", d, got)
		}
	}
	var s spread
	if s.quantile(0.5) != nil {
		t.Error("a quantile of nothing")
	}
}

// TestSeriesAndCells: what is submitted is in the figures.
func TestSeriesAndCells(t *testing.T) {
	s := withR.get(t)
	j := submit(t, s.c, `{"fun":"function(x) if (x == 7) stop('no') else x","over":[1,2,3,4,5,6,7,8,9,10,11,12],"queue":"second"}`)
	ended(t, s.c, j.ID)
	var series api.Series
	status, _, body := s.ask(t, "GET", "/v1/series?range=15m", "")
	decode(t, status, body, &series)
	if series.Total.Complete < 11 || series.Total.Failed < 1 || series.Total.Run.P50 == nil {
		t.Errorf("%+v", series.Total)
	}
	f := func(query string, size int, want ...int64) {
		t.Helper()
		var cells api.Cells
		status, _, body := s.ask(t, "GET", "/v1/jobs/"+j.ID+"/cells"+query, "")
		decode(t, status, body, &cells)
		if cells.Size != size || len(cells.Cells) != len(want) {
			t.Fatalf("%s: %s", query, body)
		}
		for i, n := range want {
			if c := cells.Cells[i]; c["COMPLETE"] != n {
				t.Errorf("%s: part %d has %v", query, i+1, c)
			}
		}
	}
	f("", 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1)
	f("?cells=3", 5, 5, 4, 2)
	f("?cells=1", 20, 11)
	f("?from=7&to=8", 1, 0, 1)
	s.fault(t, 400, "GET", "/v1/jobs/"+j.ID+"/cells?from=13", "")
	s.fault(t, 400, "GET", "/v1/jobs/"+j.ID+"/cells?from=9&to=2", "")
	s.fault(t, 400, "GET", "/v1/series?range=2h", "")
	s.fault(t, 404, "GET", "/v1/jobs/01k0000000000000000000zzzz/cells", "")
}

func decode(t *testing.T, status int, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil || status != 200 {
		t.Fatalf("%d %v: %s", status, err, body)
	}
}
