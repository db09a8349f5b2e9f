package dashboard

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// overview is how things stand: for everybody's tasks, or for his own where who asks may
// see no others. Series and charts are of everybody's, and are not there then.
type overview struct {
	All      bool
	Range    string
	Ranges   []string
	Series   api.Series
	Charts   []*chart
	Since    *time.Time // when the figures begin, where that is within the range; nil otherwise
	Queues   []api.Queue
	Workers  []api.Worker
	Running  []api.Task
	Failures []api.Task
	Jobs     []api.Job
	States   map[string]int64
	Waiting  int64
	Runs     int64
	Deferred int64
	Fleet    fleet
	Share    string // of tasks that failed, in per cent
	None     bool   // there has never been a task
	Index    api.IndexStatus
}

// fleet is all workers together.
type fleet struct {
	Workers, Max, Up, Busy, Lost, Paused int
	RSS                                  int64
	Squares                              []square
}

// square is an R process, or room for one.
type square struct {
	Kind string
	N    int
}

const failedStates = "ERROR,DIED,TIMEOUT,IMPOSSIBLE"

func (d *Dashboard) overview(r *http.Request) (*view, error) {
	who := d.o.Who(r)
	o := &overview{All: who.can("read", "admin"), Range: r.URL.Query().Get("range"), Ranges: []string{"15m", "1h", "24h"}}
	if o.All && !slices.Contains(o.Ranges, o.Range) {
		o.Range = "1h"
		var s api.Series
		if err := d.get(r, "/v1/series", values("range", "15m"), &s); err != nil {
			return nil, err
		}
		if d.now().Sub(s.Since) < 15*time.Minute {
			o.Range = "15m" // it has not been up for longer
		}
	}
	var queues api.Queues
	var workers api.Workers
	var running, failed api.Tasks
	var jobs api.Jobs
	var info api.Info
	for _, q := range []struct {
		path  string
		query []string
		into  any
	}{
		{"/v1/info", nil, &info},
		{"/v1/queues", nil, &queues},
		{"/v1/workers", nil, &workers},
		{"/v1/tasks", []string{"state", "RUNNING", "limit", "8"}, &running},
		{"/v1/tasks", []string{"state", failedStates, "limit", "8"}, &failed},
		{"/v1/jobs", []string{"limit", "6"}, &jobs},
	} {
		if err := d.get(r, q.path, values(q.query...), q.into); err != nil {
			return nil, err
		}
	}
	o.Queues, o.Workers, o.Running, o.Failures, o.Jobs = queues.Queues, workers.Workers, running.Tasks, failed.Tasks, jobs.Jobs
	o.States, o.Index = info.States, info.Index
	o.Fleet = fleetOf(o.Workers)
	if err := d.figures(r, o); err != nil {
		return nil, err
	}
	return &view{Title: "Overview", Nav: "overview", Live: "tasks queues workers tick", Data: o}, nil
}

// figures are the numbers of an overview.
func (d *Dashboard) figures(r *http.Request, o *overview) error {
	t := &o.Series.Total
	if !o.All {
		o.Waiting, o.Deferred, o.Runs = o.States["PENDING"], o.States["DEFERRED"], o.States["RUNNING"]
		t.Complete, t.Cancelled = o.States["COMPLETE"], o.States["CANCELLED"]
		for _, s := range strings.Split(failedStates, ",") {
			t.Failed += o.States[s]
		}
	} else {
		for _, q := range o.Queues {
			o.Waiting, o.Deferred, o.Runs = o.Waiting+q.Pending, o.Deferred+q.Deferred, o.Runs+q.Running
		}
		if err := d.get(r, "/v1/series", values("range", o.Range), &o.Series); err != nil {
			return err
		}
		if o.Series.Since.After(o.Series.From) {
			o.Since = &o.Series.Since
		}
		o.Charts = charts(&o.Series)
	}
	o.Share = percent(t.Failed, t.Complete+t.Failed)
	o.None = len(o.Jobs) == 0 && t.Complete+t.Failed == 0
	return nil
}

func fleetOf(workers []api.Worker) fleet {
	var f fleet
	idle := 0
	for _, w := range workers {
		switch w.State {
		case "LOST":
			f.Lost++
			continue
		case "PAUSED":
			f.Paused++
		}
		f.Workers++
		f.Max, f.Up, f.Busy, f.RSS = f.Max+w.Max, f.Up+w.Up, f.Busy+w.Busy, f.RSS+w.RSS
	}
	idle = max(f.Up-f.Busy, 0)
	add := func(kind string, n int) {
		if n > 0 {
			f.Squares = append(f.Squares, square{kind, n})
		}
	}
	add("busy", f.Busy)
	add("idle", idle)
	add("free", max(f.Max-f.Busy-idle, 0))
	return f
}

// Max64, Lost64 and Workers64 are counts as templates take them.
func (f fleet) Max64() int64     { return int64(f.Max) }
func (f fleet) Lost64() int64    { return int64(f.Lost) }
func (f fleet) Workers64() int64 { return int64(f.Workers) }

// QueueCount is how many queues there are.
func (o *overview) QueueCount() int64 { return int64(len(o.Queues)) }

// Each are the squares one by one, as many as can be looked at.
func (f fleet) Each() []string {
	var all []string
	for _, s := range f.Squares {
		for range min(s.N, 128) {
			all = append(all, s.Kind)
		}
	}
	return all[:min(len(all), 160)]
}

// Rate is how many tasks end in a second.
func (o *overview) Rate() string { return digits(o.Series.Total.Rate) }

// charts are the figures of a series.
func charts(s *api.Series) []*chart {
	step := time.Duration(s.Step)
	whole := func(v float64) string { return digits(v) }
	took := func(v float64) string { return durationText(time.Duration(v * 1e9)) }

	done := bars("throughput", "Tasks ended", s.From, step, whole,
		line{"complete", "ok", floats(s.Complete)}, line{"failed", "bad", floats(s.Failed)}, line{"cancelled", "dim", floats(s.Cancelled)})
	done.Keys[0].Figure, done.Keys[1].Figure, done.Keys[2].Figure = number(s.Total.Complete), number(s.Total.Failed), number(s.Total.Cancelled)
	done.Summary = fmt.Sprintf("Tasks ended in each %s: %s complete, %s failed, %s cancelled in all.", long(step), number(s.Total.Complete), number(s.Total.Failed), number(s.Total.Cancelled))

	run := curves("run", "Time in R", s.From, step, true, took, line{"p50", "c3", maybeFloats(s.Run.P50)}, line{"p99", "c4", maybeFloats(s.Run.P99)})
	run.Keys[0].Figure, run.Keys[1].Figure = secondsText(s.Total.Run.P50), secondsText(s.Total.Run.P99)
	run.Summary = fmt.Sprintf("How long tasks ran: half within %s, 99 %% within %s.", secondsText(s.Total.Run.P50), secondsText(s.Total.Run.P99))

	wait := curves("wait", "Time in the queue", s.From, step, true, took, line{"p50", "c3", maybeFloats(s.Wait.P50)}, line{"p99", "c4", maybeFloats(s.Wait.P99)})
	wait.Keys[0].Figure, wait.Keys[1].Figure = secondsText(s.Total.Wait.P50), secondsText(s.Total.Wait.P99)
	wait.Summary = fmt.Sprintf("How long tasks waited: half within %s, 99 %% within %s.", secondsText(s.Total.Wait.P50), secondsText(s.Total.Wait.P99))

	pending, running := total(s, func(q *api.QueueSeries) []*int64 { return q.Pending }), total(s, func(q *api.QueueSeries) []*int64 { return q.Running })
	length := curves("length", "In the queues", s.From, step, false, whole, line{"waiting", "c4", pending}, line{"running", "c3", running})
	now, runs := last(pending), last(running)
	length.Keys[0].Figure, length.Keys[1].Figure = digits(now), digits(runs)
	length.Summary = fmt.Sprintf("Tasks in all queues: %s wait and %s run now; at most %s waited.", digits(now), digits(runs), digits(most(pending)))
	return []*chart{done, length, run, wait}
}

// total adds a figure of all queues.
func total(s *api.Series, of func(*api.QueueSeries) []*int64) []float64 {
	sum := make([]float64, len(s.Complete))
	for i := range sum {
		sum[i] = math.NaN()
	}
	for k := range s.Queues {
		for i, v := range maybeInts(of(&s.Queues[k])) {
			if !math.IsNaN(v) {
				sum[i] = known(sum[i]) + v
			}
		}
	}
	return sum
}

func last(vs []float64) float64 {
	for i := len(vs) - 1; i >= 0; i-- {
		if !math.IsNaN(vs[i]) {
			return vs[i]
		}
	}
	return 0
}

func most(vs []float64) float64 {
	m := 0.0
	for _, v := range vs {
		m = max(m, known(v))
	}
	return m
}
