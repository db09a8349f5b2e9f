package pipeline

import (
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sinks/compact"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// Snapshot is where a run stands. The live view, the report and the metrics
// show the same numbers.
type Snapshot struct {
	Pipeline string           `json:"pipeline"`
	Run      string           `json:"run"`
	Elapsed  time.Duration    `json:"elapsed_ns"`
	Input    sources.Size     `json:"input"`
	Read     sources.Size     `json:"read"` // rows and input bytes so far
	Stages   []stages.Reading `json:"stages"`
	Sinks    []string         `json:"sinks"`        // which of the stages are sinks
	Memory   int64            `json:"memory_bytes"` // rows between source and sink
	Budget   int64            `json:"memory_budget_bytes"`
	R        *Workforce       `json:"r,omitempty"` // nil where no stage uses R
	Skipped  int64            `json:"skipped_rows"`
	Rejected int64            `json:"dead_letter_rows"`
	Drained  bool             `json:"drained"`                // it was asked to stop, and rows are left unread
	Resumed  int64            `json:"resumed_rows,omitempty"` // read by earlier processes of the run
}

// Workforce is the R workers of a run.
type Workforce struct {
	Up       int           `json:"up"`
	Busy     int           `json:"busy"`
	Memory   int64         `json:"memory_bytes"` // resident, of those up; shared pages count in each
	Requests int64         `json:"requests"`
	BusyTime time.Duration `json:"busy_ns"`
	Started  int64         `json:"started"`
	Died     int64         `json:"died"`
	Forks    bool          `json:"forks"` // workers are forked from a template, not started afresh
}

// workforce is the run's own workers, also of a pool that it shares.
func (r *Run) workforce() *Workforce {
	s := r.pool.Stats()
	t := s.Total
	if r.others {
		key := r.env.R.Fingerprint()
		s.Environments = slices.DeleteFunc(s.Environments, func(e rpool.EnvironmentStats) bool { return e.Fingerprint != key })
		if t = (rpool.Counts{}); len(s.Environments) > 0 {
			t = s.Environments[0].Counts
		}
	}
	w := &Workforce{
		Up: t.Up, Busy: t.Busy, Memory: t.RSS, Requests: t.Requests,
		BusyTime: t.BusyTime, Started: t.Started, Died: t.Died, Forks: true,
	}
	for _, e := range s.Environments {
		w.Forks = w.Forks && e.WhySpawn == ""
	}
	return w
}

// Report is what a run did.
type Report struct {
	Snapshot
	Bottleneck    string            `json:"bottleneck"` // the stage that worked the longest
	DeadLetters   int64             `json:"dead_letters"`
	DeadLetterDir string            `json:"dead_letter_path,omitempty"`
	Output        string            `json:"output"`  // where the files of the first sink are
	Files         []sinks.Part      `json:"files"`   // of it that are committed
	Outputs       []Written         `json:"outputs"` // of all sinks
	Compacted     []*compact.Report `json:"compacted,omitempty"`
	Error         string            `json:"error,omitempty"`
}

// Written is what one sink has committed.
type Written struct {
	Sink  string       `json:"sink"`
	Path  string       `json:"path"`
	Files []sinks.Part `json:"files"`

	Sample frame.Frame `json:"-"` // its first rows, of a dry run
}

// Snapshot reads the meters. It is cheap enough to call several times a second.
func (r *Run) Snapshot() Snapshot {
	s := Snapshot{
		Pipeline: r.file.Name, Run: r.id, Elapsed: time.Since(r.started),
		Input: r.reader.Size(), Drained: r.drained(), Resumed: r.resumed.Rows,
	}
	for _, b := range r.file.branches() {
		s.Sinks = append(s.Sinks, b.label)
	}
	for _, m := range r.graph.Meters() {
		s.Stages = append(s.Stages, m.Read())
	}
	s.Read = sources.Size{Rows: s.Stages[0].RowsOut, Bytes: r.feed.consumed.Load()}
	s.Memory, s.Budget = r.ledger.Bytes()
	s.Skipped, s.Rejected = r.rejects.counts()
	if r.pool != nil {
		s.R = r.workforce()
	}
	return s
}

// Written is how many rows the sinks have taken.
func (s *Snapshot) Written() (rows int64) {
	for _, r := range s.Stages {
		if slices.Contains(s.Sinks, r.Name) {
			rows += r.RowsOut
		}
	}
	return rows
}

// Fraction is how much of the input has been read, from 0 to 1; ok is false
// where the source does not know its size.
func (s *Snapshot) Fraction() (f float64, ok bool) {
	switch {
	case s.Input.Rows > 0:
		f = float64(s.Resumed+s.Read.Rows) / float64(s.Input.Rows)
	case s.Input.Bytes > 0:
		f = float64(s.Read.Bytes) / float64(s.Input.Bytes)
	default:
		return 0, false
	}
	return min(1, f), true
}

// Remaining is the estimated time to the end, from the rate so far.
func (s *Snapshot) Remaining() (left time.Duration, ok bool) {
	f, ok := s.Fraction()
	if !ok || f <= 0 || s.Elapsed < time.Second {
		return 0, false
	}
	return time.Duration(float64(s.Elapsed) * (1 - f) / f), true
}

// Bottleneck is the part that has worked the longest.
func (s *Snapshot) Bottleneck() string {
	name, most := "", time.Duration(-1)
	for _, r := range s.Stages {
		if t := r.BusyTime(); t > most {
			name, most = r.Name, t
		}
	}
	return name
}

func (r *Run) report(committed bool, elapsed time.Duration) *Report {
	s := r.Snapshot()
	s.Elapsed = elapsed
	if r.rejects.dry && r.file.replay == nil { // nothing is in a dead letter then
		s.Skipped, s.Rejected = s.Skipped+s.Rejected, 0
	}
	report := &Report{Snapshot: s, Bottleneck: s.Bottleneck(), DeadLetters: s.Rejected}
	for _, o := range r.outs {
		root := ""
		if w, ok := o.writer.(sinks.Rooted); ok {
			root = w.Root()
		}
		if o.label == "dead_letter" {
			if s.Rejected > 0 {
				report.DeadLetterDir = root
			}
			continue
		}
		to := Written{Sink: o.label, Path: root}
		if d, ok := o.writer.(*dryWriter); ok {
			to.Sample = d.sample
		}
		if committed {
			for _, p := range o.parts {
				p.Temp, p.Upload = "", nil // it has its own name now
				to.Files = append(to.Files, p)
			}
		}
		report.Outputs = append(report.Outputs, to)
	}
	report.Output, report.Files = report.Outputs[0].Path, report.Outputs[0].Files
	return report
}
