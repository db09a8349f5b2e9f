package stages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Build implements Transform.
func (c *Map) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	return c.build(env, &mapper{})
}

// build is encode, Pool, decode, agree on a schema.
func (c *Map) build(env *Env, m *mapper) (Stage[frame.Frame, frame.Frame], error) {
	declared, err := c.returns()
	if err != nil {
		return nil, err
	}
	args, err := encodeArgs(c.Args)
	if err != nil {
		return nil, err
	}
	r, inFlight, err := c.executor(env)
	if err != nil {
		return nil, err
	}
	m.config, m.env, m.args, m.failures = c, env, args, newFailures(&c.OnError, env)
	pool := Pool[*encoded](r, PoolOptions{
		Env: env.R, Priority: env.priority(),
		InFlight: inFlight, Ordered: c.Ordered,
		MaxAttempts: c.MaxAttempts, RetryErrors: c.OnError.OnError == "retry",
		Halvings: m.halvings,
	})
	requests := unmetered(Parallel(env.Parallel, c.Ordered, m.encode))
	replies := unmetered(Parallel(env.Parallel, c.Ordered, m.decode))
	return Chain(0, requests, Chain(0, pool, Chain(0, replies, agree(env, declared)))), nil
}

// queueInFlight is how many batches a map hands to a queue at once by default. How many
// workers take from it changes while the run goes on.
const queueInFlight = 32

// executor is where R runs, and how many batches it is given at once.
func (c *Map) executor(env *Env) (r Executor, inFlight int, err error) {
	if c.On != "" && env.Queue != nil {
		if r, err = env.Queue(c.On); err != nil {
			return nil, 0, err
		}
		return r, cmp.Or(c.InFlight, queueInFlight), nil
	}
	if env.Pool == nil || env.R == nil {
		return nil, 0, errors.New("map needs R, and this pipeline has no pool")
	}
	if c.InFlight > 0 {
		return env.Pool, c.InFlight, nil
	}
	s := env.Pool.Stats()
	inFlight = s.Max + 1
	if !env.Interactive {
		inFlight -= s.Reserve // which it may not have
	}
	return env.Pool, inFlight, nil
}

// mapper is one map.
type mapper struct {
	config   *Map
	env      *Env
	args     []byte
	failures *failures
	warnings warnings
	buffers  sync.Pool // of *[]byte: requests whose replies have come

	// What a reduce does otherwise; nil is what a map does.
	named  func(b *Rows) string                                       // what errors call a batch
	stream func(b *Rows) uint64                                       // the number of its random stream
	finish func(in frame.Frame, out frame.Frame) (frame.Frame, error) // what is made of an answer
}

func (m *mapper) name(b *Rows) string {
	if m.named == nil {
		return Name(b)
	}
	return m.named(b)
}

// at says which rows err is about.
func (m *mapper) at(b *Rows, err error) error {
	var already *BatchError
	if errors.As(err, &already) {
		return err
	}
	return &BatchError{Batch: m.name(b), Err: err}
}

// encoded is a frame and the memory of its request.
type encoded struct {
	frame  frame.Frame
	buffer *[]byte
}

// halvings is how often a failed batch may be taken apart: not at all where the
// rows may depend on each other, or where the first error ends the run.
func (m *mapper) halvings(err error) int {
	if m.config.Rows != "same" || m.config.stops() {
		return 0
	}
	return m.config.halvings(err)
}

// encode makes a frame's request.
func (m *mapper) encode(ctx context.Context, b *Rows) (*Batch[*Work[*encoded]], error) {
	buffer, _ := m.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	w := &Work[*encoded]{For: &encoded{b.Value, buffer}, Rows: b.Rows}
	w.Part = func(from, to int) (*rpool.Request, error) {
		return m.request(b, from, to, nil)
	}
	req, err := m.request(b, 0, b.Rows, (*buffer)[:0])
	if err == nil {
		w.Request = req // what R cannot take is Part's to report
		*buffer = req.Data
	}
	return Carry(b, w, b.Rows, b.Bytes), nil
}

// request asks R for the rows [from, to) of b. A batch has the random stream of
// its number; a part of it has a sub-stream of that, by its first row, so that no
// two parts draw the same numbers.
func (m *mapper) request(b *Rows, from, to int, buf []byte) (*rpool.Request, error) {
	data, coded, err := frame.AppendCodedR(buf, plain(sliceRows(b.Value, from, to)), m.config.rOptions())
	if err != nil {
		return nil, err
	}
	req := &rpool.Request{
		Kind: rpool.Map, Fun: m.config.Fun, Data: data, Coded: coded, Args: m.args,
		Timeout: m.config.timeout(), Isolate: m.config.Isolate, Label: m.name(b),
	}
	if m.config.Seed != nil {
		number := b.Seq
		if m.stream != nil {
			number = m.stream(b)
		}
		seed := rpool.SeedAt(*m.config.Seed, number)
		if to-from < b.Rows {
			seed = seed.Sub(uint64(from) + 1)
		}
		req.Seed = &seed
	}
	return req, nil
}

// decode makes a frame of R's answer, and rejects the rows that failed.
func (m *mapper) decode(ctx context.Context, b *Batch[*Done[*encoded]]) (*Rows, error) {
	job := b.Value.For
	m.buffers.Put(job.buffer) // the worker has answered: it reads the request no more
	in := Carry(b, job.frame, b.Rows, b.Bytes)
	var frames []frame.Frame
	var numbers []int
	for _, p := range b.Value.Parts {
		f, err := m.frameOf(in.Value, p)
		if err == nil {
			if f.NumCols() > 0 { // else it is data.frame(), which says "nothing" and no more
				frames = append(frames, f)
				numbers = append(numbers, madeOf(in.Value, p.From, p.To, int(f.NumRows()), m.config.Rows == "same")...)
			}
			m.failures.passed(p.To - p.From)
			continue
		}
		if m.config.stops() {
			return nil, m.at(in, err)
		}
		if err := m.failures.reject(ctx, in, p.From, p.To, p.Attempts, p.Whole, err); err != nil {
			return nil, err
		}
	}
	if len(frames) == 0 {
		in.Settle(nil)
		return nil, nil
	}
	f, err := frame.Concat(alike(frames)...)
	if err != nil {
		return nil, m.at(in, err)
	}
	return WithFrame(in, withNumbers(f, numbers)), nil
}

// frameOf is the frame that R returned for a part of the rows of in.
func (m *mapper) frameOf(in frame.Frame, p Part) (frame.Frame, error) {
	if p.Err != nil {
		return nil, p.Err
	}
	in = plain(in)
	sent := sliceRows(in, p.From, p.To)
	f, err := frame.FromRBeside(p.Reply.Data, sent)
	if err != nil {
		return nil, fmt.Errorf("what %s returned cannot be used: %w", m.config.Fun, err)
	}
	m.warnings.tell(m.env.Log, m.config.Fun, p.Reply.Warnings)
	m.env.Printed.Text(p.Reply.Pid, p.Reply.Output)
	if m.config.Rows == "same" && f.NumRows() != int64(p.To-p.From) {
		return nil, fmt.Errorf("%s returned %d rows for %d, and the map says rows: same", m.config.Fun, f.NumRows(), p.To-p.From)
	}
	f = frame.Restore(f, in.Schema())
	if m.finish != nil {
		return m.finish(in, f)
	}
	return f, nil
}

// sliceRows is rows [from, to) of f.
func sliceRows(f frame.Frame, from, to int) frame.Frame {
	if from == 0 && int64(to) == f.NumRows() {
		return f
	}
	return frame.Slice(f, from, to)
}
