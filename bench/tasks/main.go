//go:build unix

// Command tasks measures the task queue in one process, without HTTP: no-op tasks in
// bulk and one at a time, with R and without, and a queue of a million tasks; and rpipe
// serve by its REST API beside rrq, mirai and callr.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

var (
	part    = flag.String("part", "", "throughput, million or peers; empty is all")
	program = flag.String("rpipe", "bin/rpipe", "for peers: the program")
)

func main() {
	rpool.GuardMain()
	bench.Main(run)
}

// durabilities are those that are measured.
var durabilities = []broker.Durability{"always", "interval:200ms"}

func run(s bench.Setting) error {
	dir, err := os.MkdirTemp("", "bench-tasks-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, p := range []struct {
		name    string
		measure func() error
	}{
		{"throughput", func() error { return throughputs(s, dir) }},
		{"million", func() error { return million(s, dir) }},
		{"peers", func() error { return beside(s, *program, dir) }},
	} {
		if *part == "" || *part == p.name {
			if err := p.measure(); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return nil
}

func throughputs(s bench.Setting, dir string) error {
	disk, err := fsync(dir)
	if err != nil {
		return err
	}
	fmt.Printf("No-op tasks, one process with an embedded engine; an fsync of the disk takes %s:\n\n", disk)
	fmt.Print("| worker | durability | in bulk, a second | one at a time, p50 | p99 |\n| --- | --- | ---: | ---: | ---: |\n")
	for _, processes := range []int{2, 0} {
		for _, d := range durabilities {
			if err := throughput(s, dir, d, processes); err != nil {
				return err
			}
		}
	}
	fmt.Println()
	return nil
}

func throughput(s bench.Setting, dir string, d broker.Durability, processes int) (err error) {
	if dir, err = os.MkdirTemp(dir, ""); err != nil {
		return err
	}
	k, err := open(dir, d)
	if err != nil {
		return err
	}
	stop, err := k.work(dir, processes)
	if err != nil {
		return errors.Join(err, k.close())
	}
	n, times := s.Pick(20_000, 500), s.Pick(500, 20)
	var rates []float64
	var took []time.Duration
	for round := 0; err == nil && round <= s.Rounds; round++ {
		var all time.Duration
		if all, err = k.bulk(n); round > 0 { // the first is for starting R
			rates = append(rates, float64(n)/all.Seconds())
		}
		for i := 0; err == nil && i < times; i++ {
			var one time.Duration
			one, err = k.one()
			took = append(took, one)
		}
	}
	stop()
	if err = errors.Join(err, k.close()); err != nil {
		return err
	}
	name := "none: no R"
	if processes > 0 {
		name = fmt.Sprintf("%d R processes", processes)
	}
	slices.Sort(rates)
	slices.Sort(took)
	fmt.Printf("| %s | %s | %s | %s | %s |\n", name, d, bench.PerSecond.Format(rates[len(rates)/2]), millis(took[len(took)/2]), millis(took[len(took)*99/100]))
	return nil
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// million queues tasks of which nobody takes any, starts anew, and lists them.
func million(s bench.Setting, dir string) (err error) {
	if dir, err = os.MkdirTemp(dir, ""); err != nil {
		return err
	}
	n, per := s.Pick(1_000_000, 5000), s.Pick(100_000, 1000)
	k, err := open(dir, "always")
	if err != nil {
		return err
	}
	fmt.Printf("%d queued tasks, submitted as jobs of %d, durability always:\n\n| what | |\n| --- | ---: |\n", n, per)
	row := func(what, format string, args ...any) {
		fmt.Printf("| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	ctx := context.Background()
	began := time.Now()
	var last string
	for range n / per {
		j, _, err := k.Submit(ctx, user, submission(per))
		if err != nil {
			return errors.Join(err, k.close())
		}
		last = j.ID
	}
	row("submitted, a second", "%s", bench.PerSecond.Format(float64(n)/time.Since(began).Seconds()))
	resident := func() string { debug.FreeOSMemory(); return memory() }
	row("memory of the process, with the index", "%s", resident())
	if err := k.close(); err != nil {
		return err
	}
	k = nil
	runtime.GC()
	if k, err = open(dir, "always"); err != nil {
		return err
	}
	row("start anew: the engine", "%.2f s", k.opened.Seconds())
	row("start anew: all of it, with the index as it was", "%.2f s", k.ready.Seconds())
	row("memory after it", "%s", resident())
	err = listings(ctx, k, last, int64(n), row)
	fmt.Println()
	return errors.Join(err, k.close())
}

func listings(ctx context.Context, k *stack, job string, n int64, row func(what, format string, args ...any)) error {
	timed := func(what string, f func() error) error {
		var took []time.Duration
		for range 20 {
			began := time.Now()
			if err := f(); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			took = append(took, time.Since(began))
		}
		row(what, "%s", millis(median(took)))
		return nil
	}
	pending := []tasks.State{tasks.Pending}
	return errors.Join(
		timed("count by state", func() error {
			counts, err := k.Counts(ctx, user, index.Filter{})
			if err == nil && counts[tasks.Pending] != n {
				err = fmt.Errorf("%v, want %d", counts, n)
			}
			return err
		}),
		timed("the newest 100 that are PENDING", func() error {
			_, _, err := k.Tasks(ctx, user, index.Filter{States: pending})
			return err
		}),
		timed("100 of one job, oldest first", func() error {
			_, _, err := k.Tasks(ctx, user, index.Filter{Job: job, Oldest: true})
			return err
		}),
		timed("jobs", func() error {
			_, _, err := k.Jobs(ctx, user, index.Filter{})
			return err
		}),
		timed("one task", func() error {
			_, err := k.Get(ctx, user, tasks.TaskID(job, 500))
			return err
		}),
		timed("place in the queue", func() error {
			_, err := k.Position(ctx, user, tasks.TaskID(job, 500))
			return err
		}),
	)
}

// memory is what this process has, which is all of the queue.
func memory() string {
	m, err := bench.MemoryOf(os.Getpid())
	if err != nil {
		return err.Error()
	}
	return bench.Megabytes.Format(m.Pss) + " MB"
}
