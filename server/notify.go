package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/notify"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// openNotify begins to deliver notifications.
func (s *Server) openNotify() error {
	var err error
	s.notify, err = notify.New(s.file.Notify, notify.Options{
		Dir: filepath.Join(s.data, "notify"), Version: s.version, Log: s.log.With("part", "notify"),
	})
	if err != nil {
		return err
	}
	if err := s.metrics.Prometheus().Register(&notifyCollector{s.notify}); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// tell has the targets of a schedule told what happened to a run: the keeper's Notify.
func (s *Server) tell(e keeper.Event) {
	names := e.Schedule.Timing.Notify
	if len(names) == 0 {
		return
	}
	r := &e.Run
	m := notify.Message{
		Kind: e.Kind, Schedule: r.Schedule, Run: r.ID, Scheduled: r.Scheduled.UTC(), State: string(r.State), Attempt: r.Attempt,
		Started: r.Started, Ended: r.Ended, Error: r.Error, Link: s.link("runs", r.ID), Server: s.access.host,
	}
	if m.Error == "" {
		m.Error = r.Reason
	}
	if err := s.notify.Send(names, m); err != nil {
		s.log.Error("a notification has nowhere to go", "schedule", r.Schedule, "error", err)
	}
}

// link is the address of a page of the dashboard; "" where it has none for others.
func (s *Server) link(parts ...string) string {
	base := strings.TrimRight(s.file.URL, "/")
	if base == "" {
		if s.file.Listen.unix() {
			return ""
		}
		base = s.URL()
	}
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return base + "/ui/" + strings.Join(parts, "/")
}

func (s *Server) listNotify(w http.ResponseWriter, r *http.Request, _ *who) error {
	out := api.NotifyTargets{Targets: []api.NotifyTarget{}}
	for _, f := range s.notify.Stats() {
		out.Targets = append(out.Targets, api.NotifyTarget{
			Name: f.Name, Host: f.Host, Format: f.Format, Only: f.Only, Waiting: f.Waiting, Delivered: f.Delivered,
			Retried: f.Retried, Failed: f.Failed, LastError: f.LastError, LastTime: f.LastTime,
		})
	}
	return writeJSON(w, 200, &out)
}

// testNotify sends a message and says whether it arrived.
func (s *Server) testNotify(w http.ResponseWriter, r *http.Request, who *who) error {
	name := r.PathValue("name")
	err := s.notify.Try(r.Context(), name, notify.Message{Kind: notify.Test, Server: s.access.host, Link: s.link()})
	var unknown *notify.UnknownError
	if errors.As(err, &unknown) {
		return &api.Fault{Status: http.StatusNotFound, Code: "not_found", Message: "there is no target " + name + " under notify in rpipe.yaml"}
	}
	out := api.NotifyTest{Delivered: err == nil}
	if err != nil {
		out.Error = err.Error()
	}
	return writeJSON(w, 200, &out)
}

// notifyCollector shows the figures of targets to Prometheus.
type notifyCollector struct{ n *notify.Notifier }

var (
	notifyWaiting = prometheus.NewDesc("rpipe_notify_waiting", "Notifications that are not delivered yet, by target.", []string{"target"}, nil)
	notifyTotal   = prometheus.NewDesc("rpipe_notify_total", "Notifications by target and outcome: delivered, retried (an attempt that another followed) or failed.", []string{"target", "outcome"}, nil)
)

// Describe implements prometheus.Collector.
func (c *notifyCollector) Describe(to chan<- *prometheus.Desc) {
	to <- notifyWaiting
	to <- notifyTotal
}

// Collect implements prometheus.Collector.
func (c *notifyCollector) Collect(to chan<- prometheus.Metric) {
	for _, f := range c.n.Stats() {
		to <- prometheus.MustNewConstMetric(notifyWaiting, prometheus.GaugeValue, float64(f.Waiting), f.Name)
		for outcome, n := range map[string]uint64{"delivered": f.Delivered, "retried": f.Retried, "failed": f.Failed} {
			to <- prometheus.MustNewConstMetric(notifyTotal, prometheus.CounterValue, float64(n), f.Name, outcome)
		}
	}
}
