// Command bulk measures a large frame in batches through an R function: a graph
// of source, map and sink, beside R's own ways to use two processes.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

const (
	workers = 2
	size    = 10_000 // rows of a batch
	passes  = 3
)

//go:embed peers.R
var peers string

func main() {
	rpool.GuardMain()
	bench.Main(run)
}

func run(s bench.Setting) error {
	rows := s.Pick(1_000_000, 40_000)
	pool, err := rpool.New(rpool.Options{Max: workers, Min: workers})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Warm(context.Background(), bench.Environment, workers); err != nil {
		return err
	}
	for _, strings := range []struct {
		title    string
		distinct int
	}{{"50 different strings", 50}, {"every string different", rows}} {
		if err := compare(s, pool, rows, strings.distinct, strings.title); err != nil {
			return err
		}
	}
	return nil
}

func compare(s bench.Setting, pool *rpool.Pool, rows, distinct int, title string) error {
	frames, err := bench.Frames(rows, size, distinct)
	if err != nil {
		return err
	}
	// A measurement is several passes: one takes so short that any other process
	// that wakes up shows.
	side := func(name, bar string, pass func() (seconds float64, err error)) *bench.Side {
		return &bench.Side{Name: name, Bar: bar, Run: func() (float64, error) {
			var sum float64
			for range passes {
				seconds, err := pass()
				if err != nil {
					return 0, err
				}
				sum += seconds
			}
			return float64(passes*rows) / sum, nil
		}}
	}
	rpipe := side("rpipe, 2 workers", "", func() (float64, error) {
		took, err := through(pool, frames)
		return took.Seconds(), err
	})
	var others []*bench.Side
	for _, p := range []struct{ name, ask, bar string }{
		{"`parallel::parLapply`, 2 PSOCK workers", "psock", "≥ 3"},
		{"`furrr::future_map`, multisession, 2 workers", "multisession", "≥ 1.5 of the faster furrr"},
		{"`furrr::future_map`, multicore, 2 workers", "multicore", "≥ 1.5 of the faster furrr"},
		{"`parallel::mclapply`, 2 cores", "mclapply", ""},
		{"one R process: `unserialize` and `serialize` alone", "alone", ""},
	} {
		// Each in a process of its own, with the chunks and nothing else in memory.
		peer, err := bench.StartR(peers, fmt.Sprint(rows), fmt.Sprint(size), fmt.Sprint(distinct))
		if err != nil {
			return err
		}
		defer peer.Close()
		var missing *bench.MissingError
		if _, err := peer.Ask(p.ask); errors.As(err, &missing) {
			fmt.Fprintf(os.Stderr, "bench: %s is left out: %v\n", p.name, err)
			continue
		} else if err != nil {
			return err
		}
		others = append(others, side(p.name, p.bar, func() (float64, error) { return peer.Ask(p.ask) }))
	}
	if err := bench.Compare(s, append(others, rpipe)...); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%d rows in batches of %d, %s", rows, size, title), bench.Rows, rpipe, others...)
	return nil
}

// through sends the frames through a graph of source, map and sink.
func through(pool *rpool.Pool, frames []frame.Frame) (time.Duration, error) {
	env := (&stages.Env{Pool: pool, R: bench.Environment, Parallel: workers}).For("map")
	defer env.Close()
	add := &stages.Map{Fun: "add", Rows: "same", Ordered: true}
	add.OnError.OnError = "stop"
	stage, err := add.Build(env)
	if err != nil {
		return 0, err
	}
	rows, start := int64(0), time.Now()
	graph := stages.NewRun(context.Background())
	source := stages.From(graph, "source", 2, func(soft, hard context.Context, out chan<- *stages.Rows) error {
		for i, f := range frames {
			b := &stages.Rows{Value: f, Rows: int(f.NumRows()), Bytes: frame.Bytes(f), Seq: uint64(i), First: int64(i) * size}
			if err := stages.Send(hard, out, b); err != nil {
				return err
			}
		}
		return nil
	})
	stages.To(graph, "sink", stages.Then(graph, "map", 2, source, stage), func(ctx context.Context, in <-chan *stages.Rows) error {
		for {
			b, ok, err := stages.Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			if b.Value.NumCols() != frames[0].NumCols()+1 {
				return fmt.Errorf("%d columns came back", b.Value.NumCols())
			}
			rows += b.Value.NumRows()
		}
	})
	if err := graph.Wait(); err != nil {
		return 0, err
	}
	took := time.Since(start)
	for _, f := range frames {
		rows -= f.NumRows()
	}
	if rows != 0 {
		return 0, fmt.Errorf("%d rows are missing", -rows)
	}
	return took, nil
}
