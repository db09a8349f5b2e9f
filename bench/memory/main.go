// Command memory measures what workers share: forked from a template that has a
// large vector, and started afresh, each with its own. It needs Linux.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

func main() {
	rpool.GuardMain()
	bench.Main(run)
}

func run(s bench.Setting) error {
	if _, err := bench.MemoryOf(os.Getpid()); err != nil {
		return err
	}
	rows, err := bench.Frames(10_000, 10_000, 50)
	if err != nil {
		return err
	}
	if err := shared(s, rows[0]); err != nil {
		return err
	}
	return private(s, rows[0])
}

// shared compares template + 4 workers over one vector with template + 1.
func shared(s bench.Setting, rows frame.Frame) error {
	n := s.Pick(62_500_000, 1_000_000)
	code := fmt.Sprintf(`
big <- runif(%d)
score <- function(df) {
  df$sum <- df$x + big[1] + big[length(big)]
  gc()
  df
}`, n)
	measure := func(workers int, start rpool.Start) func() (float64, error) {
		return func() (float64, error) {
			all, _, err := after(&rpool.Environment{Setup: code, Start: start}, workers, rows)
			return all.Pss, err
		}
	}
	four := &bench.Side{Name: "rpipe: template and 4 workers", Run: measure(4, rpool.StartFork)}
	one := &bench.Side{Name: "rpipe: template and 1 worker", Bar: "≤ 1.3", Run: measure(1, rpool.StartFork)}
	limit := &bench.Side{Name: "the vector", Run: func() (float64, error) { return float64(8 * n), nil }}
	spawned := &bench.Side{Name: "4 R processes with a vector each (`start: spawn`)", Run: measure(4, rpool.StartSpawn)}
	if err := bench.Compare(s, four, one, limit, spawned); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("Memory (Pss) over one vector of %d doubles", n), bench.Megabytes, four, one, limit, spawned)
	return nil
}

// private is what one more worker costs.
func private(s bench.Setting, rows frame.Frame) error {
	for _, packages := range [][]string{nil, {"data.table", "tibble"}, {"plumber"}} {
		measure := func(start rpool.Start) func() (float64, error) {
			return func() (float64, error) {
				env := &rpool.Environment{Packages: packages, Start: start, Setup: "score <- function(df) { df$sum <- df$x + df$y; gc(); df }"}
				_, worker, err := after(env, 1, rows)
				return worker.Private, err
			}
		}
		forked := &bench.Side{Name: "rpipe, forked", Run: measure(rpool.StartFork)}
		spawned := &bench.Side{Name: "an R process of its own (`start: spawn`)", Run: measure(rpool.StartSpawn)}
		if err := bench.Compare(s, forked, spawned); err != nil {
			fmt.Fprintf(os.Stderr, "bench: a worker with %v is left out: %v\n", packages, err)
			continue
		}
		title := "Private memory of a worker in base R"
		if len(packages) > 0 {
			title = "Private memory of a worker with " + strings.Join(packages, " and ")
		}
		bench.Print(title, bench.Megabytes, forked, spawned)
	}
	return nil
}

// after is the memory of all R processes, and of one worker, when each of the
// workers has scored rows and collected its garbage.
func after(env *rpool.Environment, workers int, rows frame.Frame) (all, worker bench.Memory, err error) {
	ctx := context.Background()
	data, err := frame.AppendR(nil, rows, frame.ROptions{})
	if err != nil {
		return all, worker, err
	}
	pool, err := rpool.New(rpool.Options{Max: workers})
	if err != nil {
		return all, worker, err
	}
	defer pool.Close()
	var pids []int
	for range workers {
		lease, err := pool.Acquire(ctx, env, rpool.Interactive)
		if err != nil {
			return all, worker, err
		}
		defer lease.Release()
		if _, err := lease.Do(ctx, &rpool.Request{Kind: rpool.Map, Fun: "score", Data: data}); err != nil {
			return all, worker, err
		}
		pids = append(pids, lease.Pid())
	}
	if worker, err = bench.MemoryOf(pids[0]); err != nil {
		return all, worker, err
	}
	if template := pool.Stats().Environments[0].Template; template != 0 {
		pids = append(pids, template)
	}
	all, err = bench.MemoryOf(pids...)
	return all, worker, err
}
