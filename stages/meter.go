package stages

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/webapi"
)

// Meter counts what passes through one part of a graph. The runtime keeps it;
// stages do not. The progress line, the report and the metrics read it.
type Meter struct {
	Name  string
	start time.Time

	rowsIn, rowsOut        atomic.Int64
	bytesIn, bytesOut      atomic.Int64
	batchesIn, batchesOut  atomic.Int64
	blockedIn, blockedOut  atomic.Int64 // nanoseconds of the goroutines that receive and send
	numbered               atomic.Int64 // rows that have a place in the output
	work, workers          atomic.Int64 // nanoseconds in Parallel's function, and how many may run at once
	inside                 atomic.Int64 // batches being worked on
	waitIn, waitOut, works pending      // under way, and not counted yet
	spans                  atomic.Int64 // of batches, where the run is traced
	ended                  atomic.Int64 // nanoseconds from start; 0 while running
	reasons                counters     // why batches were cut
	errors                 counters     // by class
}

// Reading is a snapshot of a Meter.
type Reading struct {
	Name       string           `json:"name"`
	RowsIn     int64            `json:"rows_in"`
	RowsOut    int64            `json:"rows_out"`
	BytesIn    int64            `json:"bytes_in"`
	BytesOut   int64            `json:"bytes_out"`
	BatchesIn  int64            `json:"batches_in"`
	BatchesOut int64            `json:"batches_out"`
	InFlight   int64            `json:"in_flight"`        // batches being worked on
	Busy       time.Duration    `json:"busy_ns"`          // working, summed over its workers
	BlockedIn  time.Duration    `json:"blocked_input_ns"` // waiting for input
	BlockedOut time.Duration    `json:"blocked_output_ns"`
	Elapsed    time.Duration    `json:"elapsed_ns"`
	Workers    int              `json:"workers"` // batches that it may work on at once
	Reasons    map[string]int64 `json:"batches_by_reason,omitempty"`
	Errors     map[string]int64 `json:"errors,omitempty"`
	Done       bool             `json:"done"`
}

// BusyTime is Busy for each of the part's workers: the part with the most is the
// bottleneck.
func (r Reading) BusyTime() time.Duration { return r.Busy / time.Duration(max(1, r.Workers)) }

func newMeter(name string) *Meter { return &Meter{Name: name, start: time.Now()} }

// Read takes a snapshot. It is cheap.
func (m *Meter) Read() Reading {
	r := Reading{
		Name:   m.Name,
		RowsIn: m.rowsIn.Load(), RowsOut: m.rowsOut.Load(),
		BytesIn: m.bytesIn.Load(), BytesOut: m.bytesOut.Load(),
		BatchesIn: m.batchesIn.Load(), BatchesOut: m.batchesOut.Load(),
		InFlight:  m.inside.Load(),
		BlockedIn: time.Duration(m.blockedIn.Load()), BlockedOut: time.Duration(m.blockedOut.Load()),
		Busy: time.Duration(m.work.Load()), Workers: int(m.workers.Load()),
		Elapsed: time.Duration(m.ended.Load()),
		Reasons: m.reasons.read(), Errors: m.errors.read(),
	}
	r.Done = r.Elapsed > 0
	if !r.Done {
		r.Elapsed = time.Since(m.start)
		r.BlockedIn += m.waitIn.spent(r.Elapsed)
		r.BlockedOut += m.waitOut.spent(r.Elapsed)
		r.Busy += m.works.spent(r.Elapsed)
	}
	if r.Workers == 0 { // one goroutine: what it does not wait, it works
		r.Workers = 1
		r.Busy = max(0, r.Elapsed-r.BlockedIn-r.BlockedOut)
	}
	return r
}

// pending is time that is being spent: how many goroutines spend it, and the sum of when
// they began, in nanoseconds from the meter's start.
type pending struct{ n, since atomic.Int64 }

// begin counts one goroutine in, and returns what counts it out.
func (m *Meter) begin(p *pending) (end func()) {
	at := int64(time.Since(m.start))
	p.since.Add(at)
	p.n.Add(1)
	return func() {
		p.n.Add(-1)
		p.since.Add(-at)
	}
}

// spent is what has been spent so far.
func (p *pending) spent(now time.Duration) time.Duration {
	return max(0, time.Duration(p.n.Load())*now-time.Duration(p.since.Load()))
}

func (m *Meter) received(rows int, bytes int64, waited time.Duration) {
	m.rowsIn.Add(int64(rows))
	m.bytesIn.Add(bytes)
	m.batchesIn.Add(1)
	m.blockedIn.Add(int64(waited))
}

func (m *Meter) sent(rows int, bytes int64, waited time.Duration) {
	m.rowsOut.Add(int64(rows))
	m.bytesOut.Add(bytes)
	m.batchesOut.Add(1)
	m.blockedOut.Add(int64(waited))
}

func (m *Meter) finish() {
	m.ended.Store(max(1, int64(time.Since(m.start))))
}

// Class is the class under which metrics count an error: r_error, died,
// timeout, start, canceled, or what the error itself says, or other.
func Class(err error) string {
	var own interface{ Class() string }
	var condition *rpool.ConditionError
	var died *rpool.DiedError
	var timeout *rpool.TimeoutError
	var start *rpool.StartError
	var request *webapi.Error
	switch {
	case errors.As(err, &own):
		return own.Class()
	case errors.As(err, &condition):
		return "r_error"
	case errors.As(err, &died):
		return "died"
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &start):
		return "start"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &request) && request.Status != 0:
		return fmt.Sprintf("http_%d", request.Status)
	case errors.As(err, &request) && request.Class == webapi.Temporary:
		return "network"
	}
	return "other"
}
