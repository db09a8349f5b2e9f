package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/tasks/client"
	"github.com/rpipe-dev/rpipe/tasks/remote"
	"github.com/rpipe-dev/rpipe/trace"
)

// Options are what one run adds to its file.
type Options struct {
	Limit  int64         // rows read at most; 0 is all
	Resume bool          // go on with the run that did not finish, if there is one
	Fresh  bool          // give up the run that did not finish, if there is one
	Kept   bool          // the caller goes on with the run by itself: errors name no command for it
	Dry    bool          // write nothing: no output, no dead letter, no state
	Log    *slog.Logger  // nil discards
	Tracer *trace.Tracer // nil traces nothing
	// Pool, if not nil, is one that others use too: HTTP requests, other runs. The
	// run has an environment of its own there, asks at rpool.Bulk, leaves it open
	// and does not look at what Unshared names. Nil is a pool of its own.
	Pool *rpool.Pool
}

// depth is how many batches a channel between two stages holds.
const depth = 2

// Run is a pipeline that runs. Start makes it, Wait ends it.
type Run struct {
	ctx     context.Context // its end stops the run at once
	file    *File
	id      string
	log     *slog.Logger
	started time.Time
	env     *stages.Env
	pool    *rpool.Pool    // nil where no stage uses R here
	server  *client.Client // of queues; nil where there are none
	queues  map[string]*remote.Pool
	kept    bool // Options.Kept
	others  bool // the pool is not the run's own
	reader  sources.Reader
	rejects *rejects
	feed    *feed
	ledger  *stages.Ledger
	graph   *stages.Run

	writing sync.Mutex // over the writers: sinks write while epochs commit
	outs    []*output  // the sinks, then the dead letter
	spool   *spool     // nil for none
	mode    string
	turn    turn

	state   *journal.Dir
	journal *journal.Journal // as it stands in the state; nil before the first commit
	resumed journal.Journal  // what an earlier process had committed
	inputs  map[string]string

	committing sync.WaitGroup
	stop       chan struct{}    // closed when the graph has ended
	notPut     error            // why committing ended, where it failed; to be read after its Wait
	unsure     bool             // the journal may list what r.journal does not
	given      *journal.Journal // of an earlier run, given up once everything is open

	span trace.Span // of the run

	deadline     sync.Once
	stopDeadline func() bool // set by deadline; the run may end without
}

// turn is where a run without epochs of its source stands: what is written
// becomes visible by turns.
type turn struct {
	number uint64
	rows   atomic.Int64
}

// Start opens everything a run needs, and starts it. What fails before the
// first row is an error that ExitCode tells apart: the configuration (2) or the
// environment (3). ctx ends the run at once; Drain ends it after what was read.
func Start(ctx context.Context, f *File, o Options) (*Run, error) {
	r := &Run{ctx: ctx, file: f, id: f.RunID, log: o.Log, started: time.Now(), stop: make(chan struct{})}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	ctx, r.span = begin(ctx, o.Tracer, f)
	r.ctx = ctx
	if err := r.open(ctx, o); err != nil {
		r.span.End(err)
		return nil, errors.Join(err, r.release(false))
	}
	return r, nil
}

// open brings up the parts in the order in which it is cheapest to find out
// that they cannot be had.
func (r *Run) open(ctx context.Context, o Options) error {
	r.kept = o.Kept
	f := r.file
	root := &stages.Env{
		Run: r.id, Pipeline: f.Name, Dir: f.Dir(), Temp: scratch(r.id, rand.Text()[:6]),
		Parallel: parallel(o), Memory: int64(f.Memory) / 4, Limited: o.Limit > 0 || o.Dry, Log: r.log,
		S3: f.client(), Endless: f.endless(), Resume: o.Resume && f.resumes != nil,
	}
	root.Ended = func() bool { return r.feed.complete.Load() }
	r.env = root.For("")
	stages.ClearScratch(scratch("*", "*"))
	if err := r.openState(ctx, o); err != nil {
		return err
	}
	r.env.Scheduled, r.env.Again = f.times()
	if r.resumed.Run != "" {
		r.env.Scheduled, r.env.Again = r.resumed.Times, r.resumed.Again
	}
	if err := r.openOutputs(ctx, o); err != nil {
		return err
	}
	if err := r.openSource(ctx); err != nil {
		return err
	}
	if err := r.checkColumns(ctx); err != nil {
		return err
	}
	if err := r.settleMode(ctx, o); err != nil {
		return err
	}
	if err := r.openR(ctx, o); err != nil {
		return err
	}
	if err := r.dropGiven(ctx); err != nil {
		return err
	}
	if r.mode == modeExactlyOnce {
		if err := r.openSpool(ctx); err != nil {
			return err
		}
	}
	return r.join(ctx, o)
}

// openOutputs opens the sinks and the dead letter.
func (r *Run) openOutputs(ctx context.Context, o Options) error {
	f := r.file
	r.env.Reject = r.reject
	if o.Dry {
		for _, b := range f.branches() {
			r.outs = append(r.outs, &output{label: b.label, path: b.path, writer: &dryWriter{}})
		}
		r.rejects = &rejects{dry: true}
		return nil
	}
	for _, b := range f.branches() {
		w, err := b.use.Open(ctx, r.env.For(b.label))
		if err != nil {
			return at(f, b.path, err)
		}
		r.outs = append(r.outs, &output{label: b.label, path: b.path, writer: w})
		r.sweep(b, w)
	}
	var err error
	if r.rejects, err = openRejects(ctx, f, r.env.For("dead_letter")); err != nil {
		return err
	}
	if r.rejects.writer != nil {
		r.outs = append(r.outs, &output{label: "dead_letter", path: "dead_letter", writer: r.rejects.writer})
	}
	if f.replay != nil {
		if err := f.replay.take(ctx, f, r.rejects.writer); err != nil {
			return err
		}
	}
	if r.resumed.Run == "" {
		return nil
	}
	if err := r.sameJournal(ctx); err != nil { // on S3 nothing was locked before the outputs
		return err
	}
	r.rejects.skipped.Store(r.resumed.Skipped)
	for _, o := range r.outs {
		if err := o.resume(ctx, &r.resumed); err != nil {
			return err
		}
	}
	return nil
}

// openSource opens the source where the run begins.
func (r *Run) openSource(ctx context.Context) error {
	f := r.file
	if r.resumed.Phase == journal.Publishing {
		r.reader = nothingMore{}
		return nil
	}
	if s, ok := f.Source.Use.(sources.Incremental); ok && s.Incremental() {
		if !r.env.Limited { // else it saves no cursor
			if err := r.state.Lock(); err != nil {
				return err
			}
		}
		cursor, _, _, err := r.state.Cursor(ctx)
		if err != nil {
			return err
		}
		s.StartFrom(cursor)
	}
	var err error
	if r.reader, err = f.Source.Use.Open(ctx, r.env.For("source"), r.resumed.Pos); err != nil {
		return at(f, "source", err)
	}
	return nil
}

// openPool starts R and waits for the first worker, so that what is wrong with
// it is said before anything is read.
func (r *Run) openPool(ctx context.Context, shared *rpool.Pool) error {
	var err error
	if r.pool, r.others = shared, shared != nil; !r.others {
		if r.pool, err = rpool.New(r.file.poolOptions(r.log, r.env.Printed)); err != nil {
			return &EnvironmentError{Err: err}
		}
	}
	r.env.Pool = r.pool
	if err := r.pool.Warm(ctx, r.env.R, 1); err != nil {
		return rError(r.file, err)
	}
	return nil
}

// join builds the stages and starts the graph.
func (r *Run) join(ctx context.Context, o Options) error {
	f := r.file
	branches := f.branches()
	trunk, tails, err := r.buildAll(branches)
	if err != nil {
		return err
	}
	first := uint64(0)
	if r.mode == modeExactlyOnce {
		first = r.resumed.Epoch + 1
	}
	r.ledger = stages.NewLedger(int64(f.Memory), first)
	r.feed = &feed{
		reader: r.reader, ledger: r.ledger, limit: o.Limit, reject: r.reject,
		rows: r.resumed.Rows, seq: r.resumed.Reads, pos: r.resumed.Pos, skip: r.resumed.Skip,
	}
	if r.mode == modeExactlyOnce {
		var every time.Duration
		if every, r.feed.perEpoch = f.cadence(); f.divisible() {
			r.feed.pieces = &pieces{every: every}
		}
	}
	r.graph = stages.NewRun(ctx)
	edge := stages.From(r.graph, "source", depth, r.feed.run)
	for i, s := range trunk {
		edge = stages.Then(r.graph, f.Labels[i], depth, edge, s)
	}
	edges := []<-chan *stages.Rows{edge}
	if len(branches) > 1 {
		edges = stages.Fan(r.graph, "fan-out", depth, len(branches), edge)
	}
	for i, b := range branches {
		edge := edges[i]
		for k, s := range tails[i] {
			edge = stages.Then(r.graph, b.stageLabel(k), depth, edge, s)
		}
		stages.To(r.graph, b.label, edge, r.write(r.outs[i]))
	}
	r.commitAlong(ctx)
	return nil
}

// commitAlong starts what commits while the run goes on.
func (r *Run) commitAlong(ctx context.Context) {
	along := map[string]func(context.Context, <-chan struct{}) error{
		modeExactlyOnce: r.commits, modeEach: r.rotations,
	}[r.mode]
	if along == nil {
		return
	}
	r.committing.Go(func() {
		if r.notPut = along(ctx, r.stop); r.notPut != nil {
			r.graph.Stop(r.notPut)
		}
	})
}

// buildAll builds the stages of the trunk and of each branch: none where all that
// is left is to publish.
func (r *Run) buildAll(branches []branch) (trunk []stages.Stage[frame.Frame, frame.Frame], tails [][]stages.Stage[frame.Frame, frame.Frame], err error) {
	tails = make([][]stages.Stage[frame.Frame, frame.Frame], len(branches))
	if r.resumed.Phase == journal.Publishing {
		return nil, tails, nil
	}
	if trunk, err = r.build(r.file.Stages, r.file.Labels, "stages"); err != nil {
		return nil, nil, err
	}
	for i, b := range branches {
		if tails[i], err = r.buildBranch(b); err != nil {
			return nil, nil, err
		}
	}
	return trunk, tails, nil
}

func (r *Run) build(specs []StageSpec, labels []string, path string) ([]stages.Stage[frame.Frame, frame.Frame], error) {
	built := make([]stages.Stage[frame.Frame, frame.Frame], len(specs))
	for i, s := range specs {
		var err error
		if built[i], err = s.Use.Build(r.env.For(labels[i])); err != nil {
			return nil, at(r.file, fmt.Sprintf("%s[%d].%s", path, r.file.replay.index(path, i), Transforms.NameOf(s.Use)), err)
		}
	}
	return built, nil
}

// buildBranch builds what stands before a sink: its condition first.
func (r *Run) buildBranch(b branch) ([]stages.Stage[frame.Frame, frame.Frame], error) {
	built, err := r.build(b.stages, b.labels, b.path+".stages")
	if err != nil || b.when == "" {
		return built, err
	}
	when, err := (&stages.Filter{Where: b.when}).Build(r.env.For(b.label + ".when"))
	if err != nil {
		return nil, at(r.file, b.path+".when", err)
	}
	return append([]stages.Stage[frame.Frame, frame.Frame]{when}, built...), nil
}

// write is the loop of a sink.
func (r *Run) write(o *output) func(ctx context.Context, in <-chan *stages.Rows) error {
	w := o.writer.(sinks.Writer)
	put := func(ctx context.Context, b *stages.Rows) error {
		r.writing.Lock()
		defer r.writing.Unlock()
		if r.mode == modeEach {
			turned := *b
			turned.Epoch = r.turn.number
			r.turn.rows.Add(int64(b.Rows))
			return w.Write(ctx, &turned)
		}
		return w.Write(ctx, b)
	}
	return func(ctx context.Context, in <-chan *stages.Rows) error {
		for {
			b, ok, err := stages.Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			own, span := stages.Writing(ctx, b)
			err = put(own, b)
			span.End(err)
			if err != nil {
				return stages.At(b, err)
			}
			stages.Wrote(ctx, b)
			b.Settle(nil)
		}
	}
}

// reject takes the rows that failed.
func (r *Run) reject(ctx context.Context, rejected *stages.Rejected) error {
	if r.mode == modeEach {
		r.writing.Lock()
		defer r.writing.Unlock()
		rejected.Epoch = r.turn.number
		if rejected.Batch != nil {
			rejected.Batch.Epoch = r.turn.number
		}
		r.turn.rows.Add(1)
	}
	if replay := r.file.replay; replay != nil {
		return replay.reject(ctx, rejected, r.rejects.add)
	}
	return r.rejects.add(ctx, rejected)
}

// Meters are the figures of the run's parts: the source, the stages, the sinks.
func (r *Run) Meters() []*stages.Meter { return r.graph.Meters() }

// Queues are what stands between them.
func (r *Run) Queues() []stages.Queue { return r.graph.Queues() }

// scratch is where a process of a run may put what it does not need after its end.
func scratch(run, process string) string {
	return filepath.Join(os.TempDir(), "rpipe-run-"+run+"-"+process)
}

// newRunID names a run: its start in UTC and four random bytes, so that names
// sort by time.
func newRunID(start time.Time) string {
	var b [4]byte
	rand.Read(b[:])
	return start.Format("20060102T150405") + "-" + hex.EncodeToString(b[:])
}
