//go:build unix

// Command roundtrip measures calls of an R function with one row through the
// whole pool, beside what R alone needs for the same bytes.
package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

const (
	workers = 2
	callers = 8
)

func main() {
	rpool.GuardMain()
	bench.Main(run)
}

func run(s bench.Setting) error {
	pool, err := rpool.New(rpool.Options{Max: workers, Min: workers})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Warm(context.Background(), bench.Environment, workers); err != nil {
		return err
	}
	row, err := bench.Frames(1, 1, 1)
	if err != nil {
		return err
	}
	alone, err := startAlone(workers)
	if err != nil {
		return err
	}
	defer alone.close()

	period := time.Duration(s.Pick(1000, 50)) * time.Millisecond
	for _, fun := range []string{"same", "add"} {
		rpipe := &bench.Side{Name: "rpipe, 2 workers, 8 callers", Run: func() (float64, error) {
			return callsPerSecond(pool, fun, row[0], callers, period)
		}}
		if fun == "same" {
			rpipe.Bar = "≥ 8,000"
		}
		single := &bench.Side{Name: "rpipe, 2 workers, 1 caller", Run: func() (float64, error) {
			return callsPerSecond(pool, fun, row[0], 1, period)
		}}
		bare := &bench.Side{Name: "R alone, 2 processes: `unserialize`, the function, `serialize`", Run: func() (float64, error) {
			return alone.callsPerSecond(fun+" memory", s.Pick(10_000, 500))
		}}
		piped := &bench.Side{Name: "the same with reads and writes of a FIFO", Run: func() (float64, error) {
			return alone.callsPerSecond(fun+" fifo", s.Pick(10_000, 500))
		}}
		if err := bench.Compare(s, rpipe, single, bare, piped); err != nil {
			return err
		}
		bench.Print("One row, `"+fun+"`", bench.PerSecond, rpipe, single, bare, piped)
	}
	return nil
}

// callsPerSecond makes calls for a while: encode, lease, R, decode.
func callsPerSecond(pool *rpool.Pool, fun string, row frame.Frame, callers int, period time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			var buf []byte
			for time.Since(start) < period && failed.Load() == nil {
				if err := call(ctx, pool, fun, row, &buf); err != nil {
					failed.Store(&err)
					return
				}
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(calls.Load()) / time.Since(start).Seconds(), nil
}

func call(ctx context.Context, pool *rpool.Pool, fun string, row frame.Frame, buf *[]byte) error {
	data, err := frame.AppendR((*buf)[:0], row, frame.ROptions{})
	if err != nil {
		return err
	}
	*buf = data
	reply, err := pool.Do(ctx, bench.Environment, rpool.Interactive, &rpool.Request{Kind: rpool.Map, Fun: fun, Data: data})
	if err != nil {
		return err
	}
	_, err = frame.FromR(reply.Data)
	return err
}
