package dashboard

import (
	"net/http"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

func (d *Dashboard) queues(r *http.Request) (*view, error) {
	var all api.Queues
	var s api.Series
	if err := d.get(r, "/v1/queues", nil, &all); err != nil {
		return nil, err
	}
	if who := d.o.Who(r); who.can("read", "admin") {
		if err := d.get(r, "/v1/series", values("range", "1h"), &s); err != nil {
			return nil, err
		}
	}
	type row struct {
		api.Queue
		Chart *chart
	}
	var rows []row
	for _, q := range all.Queues {
		one := row{Queue: q}
		for i := range s.Queues {
			if s.Queues[i].Name == q.Name {
				one.Chart = queueChart(&s, &s.Queues[i])
			}
		}
		rows = append(rows, one)
	}
	return &view{Title: "Queues", Nav: "queues", Live: "tasks queues workers tick", Data: rows}, nil
}

// workers is the list of workers.
func (d *Dashboard) workers(r *http.Request) (*view, error) {
	var all api.Workers
	if err := d.get(r, "/v1/workers", nil, &all); err != nil {
		return nil, err
	}
	type data struct {
		Workers []api.Worker
		Fleet   fleet
	}
	return &view{Title: "Workers", Nav: "workers", Live: "workers tasks tick", Data: &data{all.Workers, fleetOf(all.Workers)}}, nil
}

// worker is one of them, with its log.
func (d *Dashboard) worker(r *http.Request) (*view, error) {
	id := r.PathValue("id")
	type data struct {
		api.Worker
		Running  []api.Task
		Recent   []api.Task
		Log      []api.LogLine
		More     bool
		LogError string
		After    uint64
	}
	var w data
	if err := d.get(r, "/v1/workers/"+id, nil, &w.Worker); err != nil {
		return nil, err
	}
	for _, q := range []struct {
		state string
		into  *[]api.Task
	}{{"RUNNING", &w.Running}, {"COMPLETE," + failedStates, &w.Recent}} {
		var found api.Tasks
		if err := d.get(r, "/v1/tasks", values("worker", id, "state", q.state, "limit", "10"), &found); err != nil {
			return nil, err
		}
		*q.into = found.Tasks
	}
	who := d.o.Who(r)
	if who.can("admin") {
		var err error
		if w.Log, w.More, err = d.lines(r, "/v1/workers/"+id+"/log", logLines); err != nil {
			w.LogError = faultOf(err).Message
		}
		if n := len(w.Log); n > 0 {
			w.After = w.Log[n-1].Seq
		}
	}
	return &view{Title: "Worker " + id, Nav: "workers", Live: "workers tasks tick", Data: &w}, nil
}

// settings is what the server says of itself and of who asks.
func (d *Dashboard) settings(r *http.Request) (*view, error) {
	var data struct {
		Info         api.Info
		Owner        api.Owner
		Environments []api.Environment
		Scopes       string
	}
	if err := d.get(r, "/v1/info", nil, &data.Info); err != nil {
		return nil, err
	}
	if err := d.get(r, "/v1/owners/"+data.Info.Owner, nil, &data.Owner); err != nil && faultOf(err).Status != http.StatusNotFound {
		return nil, err
	}
	var envs api.Environments
	if err := d.get(r, "/v1/environments", nil, &envs); err != nil {
		return nil, err
	}
	data.Environments, data.Scopes = envs.Environments, strings.Join(data.Info.Scopes, ", ")
	return &view{Title: "Settings", Nav: "settings", Live: "tick", Data: &data}, nil
}

// queueChart is what was in one queue.
func queueChart(s *api.Series, q *api.QueueSeries) *chart {
	pending, running := maybeInts(q.Pending), maybeInts(q.Running)
	c := curves("queue-"+q.Name, "Last hour", s.From, time.Duration(s.Step), false, digits, line{"waiting", "c4", pending}, line{"running", "c3", running})
	c.Keys[0].Figure, c.Keys[1].Figure = digits(last(pending)), digits(last(running))
	c.Summary = "Tasks in queue " + q.Name + " in the last hour: at most " + digits(most(pending)) + " waited and " + digits(most(running)) + " ran."
	return c
}
