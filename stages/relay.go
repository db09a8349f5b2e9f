package stages

import (
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/rpipe-dev/rpipe/logs"
)

// How many lines of R's output are logged: enough to follow what it does, not
// enough to bury everything else or to slow it down.
const (
	relayPerSecond = 20
	relayBurst     = 200
)

// Relay passes what R prints on to the log, up to a rate. It says how much it
// leaves out; a nil Relay leaves out everything. Its methods may be called by several goroutines.
type Relay struct {
	log     *slog.Logger
	limiter *rate.Limiter

	mu      sync.Mutex
	dropped int64
}

// NewRelay logs to log.
func NewRelay(log *slog.Logger) *Relay {
	return &Relay{log: log, limiter: rate.NewLimiter(relayPerSecond, relayBurst)}
}

// Text logs each line of text that a worker printed.
func (r *Relay) Text(worker int, text string) {
	for line := range strings.Lines(text) {
		r.Line(worker, strings.TrimRight(line, "\r\n"))
	}
}

// Line logs one line that a worker printed.
func (r *Relay) Line(worker int, line string) {
	if line == "" || r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.limiter.Allow() {
		r.dropped++
		return
	}
	if r.dropped > 0 {
		r.log.Warn("R prints more than is logged", "lines_left_out", r.dropped)
		r.dropped = 0
	}
	r.log.Info("R: "+line, logs.Pid, worker)
}

// Close says how many lines were left out since the last one that was logged.
func (r *Relay) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped > 0 {
		r.log.Warn("R printed more than was logged", "lines_left_out", r.dropped)
		r.dropped = 0
	}
}
