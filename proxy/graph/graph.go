// Package graph is the flow of HTTP requests through the R pool: a listener, the
// Pool stage that pipelines use too, and a sink that answers.
package graph

import (
	"context"

	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// Options say how a graph uses its pool.
type Options struct {
	Pool     *rpool.Pool
	Env      *rpool.Environment
	InFlight int // requests that wait for R or are in it; the pool's own limits come first
}

// Graph carries requests to R workers of one environment and the replies back.
type Graph struct {
	run   *stages.Run
	in    chan *stages.Batch[*work]
	drain chan struct{} // closed when Drain is called
	ended chan struct{} // closed when nothing is under way
}

// waiting is a request with the place for its answer.
type waiting struct{ done chan stages.Part }

type work = stages.Work[waiting]

// New starts a graph. It ends with Drain.
func New(ctx context.Context, o Options) *Graph {
	g := &Graph{run: stages.NewRun(ctx), in: make(chan *stages.Batch[*work]), drain: make(chan struct{}), ended: make(chan struct{})}
	requests := stages.From(g.run, "listener", 0, g.listen)
	replies := stages.Then(g.run, "r", 0, requests, stages.Pool[waiting](o.Pool, stages.PoolOptions{
		Env: o.Env, Priority: rpool.Interactive, InFlight: o.InFlight, Answer: true,
	}))
	stages.To(g.run, "answer", replies, answer)
	return g
}

// listen is the source: it hands requests on until Drain.
func (g *Graph) listen(soft, hard context.Context, out chan<- *stages.Batch[*work]) error {
	for {
		select {
		case b := <-g.in:
			if err := stages.Send(hard, out, b); err != nil {
				return err
			}
		case <-soft.Done():
			return nil
		}
	}
}

// answer is the sink.
func answer(ctx context.Context, in <-chan *stages.Batch[*stages.Done[waiting]]) error {
	for {
		b, ok, err := stages.Receive(ctx, in)
		if !ok || err != nil {
			return err
		}
		b.Value.For.done <- b.Value.Parts[0]
	}
}

// Do sends a request through the graph and waits for its answer. It asks up to
// attempts workers, where those before died. Errors are those of rpool.Pool.Do,
// the cause of ctx, and fault.ErrDraining.
func (g *Graph) Do(ctx context.Context, r *rpool.Request, attempts int) (reply *rpool.Reply, tried int, err error) {
	w := waiting{done: make(chan stages.Part, 1)}
	b := &stages.Batch[*work]{Rows: 1, Value: &work{For: w, Rows: 1, Request: r, Context: ctx, MaxAttempts: attempts}}
	select {
	case g.in <- b:
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	case <-g.drain:
		return nil, 0, fault.ErrDraining
	}
	select {
	case p := <-w.done:
		return p.Reply, p.Attempts, p.Err
	case <-g.ended:
	}
	select { // it may have been the last
	case p := <-w.done:
		return p.Reply, p.Attempts, p.Err
	default:
		return nil, 0, fault.ErrDraining
	}
}

// Drain refuses new requests, waits for those under way until ctx ends, which
// cancels them, and ends the graph. It is called once.
func (g *Graph) Drain(ctx context.Context) error {
	close(g.drain)
	g.run.Drain()
	stop := context.AfterFunc(ctx, func() { g.run.Stop(context.Cause(ctx)) })
	defer stop()
	err := g.run.Wait()
	close(g.ended)
	return err
}
