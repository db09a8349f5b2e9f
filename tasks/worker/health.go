package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// openHealth serves /healthz, /readyz and /metrics of this worker. They tell how it is
// and nothing of anybody's tasks, so everybody may ask.
func (w *Worker) openHealth(ctx context.Context, o *Options) error {
	if o.Health == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Health)
	if err != nil {
		return &ConfigError{fmt.Errorf("worker: --health-listen: %w", err)}
	}
	w.figures.SetVersion(o.Node.Version)
	processes := prometheus.NewDesc("rpipe_worker_processes", "R processes of all workers: max, up or busy.", []string{"what"}, nil)
	if err := w.figures.Prometheus().Register(collect{processes, w}); err != nil {
		l.Close()
		return fmt.Errorf("worker: metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, r *http.Request) { answer(rw, r, w.alive()) })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, r *http.Request) { answer(rw, r, w.ready()) })
	mux.Handle("GET /metrics", w.figures.Handler())
	w.health = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	w.healthDone = make(chan struct{})
	go func() {
		defer close(w.healthDone)
		if err := w.health.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the health of this worker is not served any more", "error", err)
		}
	}()
	w.healthURL = "http://" + l.Addr().String()
	o.Log.Info("health", "url", w.healthURL)
	return nil
}

func (w *Worker) closeHealth() {
	if w.health != nil {
		_ = w.health.Close()
		<-w.healthDone
	}
}

// alive is an error where it would help to start this process anew.
func (w *Worker) alive() error {
	select {
	case <-w.done:
		return errors.New("the worker has ended")
	default:
	}
	return nil
}

// ready is an error while no task is taken.
func (w *Worker) ready() error {
	if err := w.alive(); err != nil {
		return err
	}
	if w.broker.Health() != nil {
		return errors.New("the server is away")
	}
	if state := w.node.Info().State; state == "STOPPING" {
		return errors.New("draining")
	}
	return nil
}

// answer says how it is, as text or as JSON.
func answer(w http.ResponseWriter, r *http.Request, why error) {
	status, text := http.StatusOK, "ok"
	if why != nil {
		status, text = http.StatusServiceUnavailable, why.Error()
	}
	if strings.Contains(r.Header.Get("Accept"), "json") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": why == nil, "status": text})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// collect shows the R processes of the worker.
type collect struct {
	processes *prometheus.Desc
	w         *Worker
}

// Describe implements prometheus.Collector.
func (c collect) Describe(to chan<- *prometheus.Desc) { to <- c.processes }

// Collect implements prometheus.Collector.
func (c collect) Collect(to chan<- prometheus.Metric) {
	i := c.w.node.Info()
	for what, n := range map[string]int{"max": i.Max, "up": i.Up, "busy": i.Busy} {
		to <- prometheus.MustNewConstMetric(c.processes, prometheus.GaugeValue, float64(n), what)
	}
}
