// Command served is a task queue in a process that crash tests kill: an embedded engine,
// its index, the queue with its chores, and a worker that runs no R. It takes requests
// as lines of JSON from its input and answers each with one, after what was asked for
// has been kept.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/internal/fakenode"
	"github.com/rpipe-dev/rpipe/internal/taskcrash"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

func main() {
	dir := flag.String("dir", "", "directory of the store")
	durability := flag.String("durability", "always", "of the engine")
	flag.Parse()
	if err := run(*dir, *durability); err != nil {
		fmt.Fprintln(os.Stderr, "served:", err)
		os.Exit(1)
	}
}

func run(dir, durability string) (err error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	d, err := broker.ParseDurability(durability)
	if err != nil {
		return err
	}
	b, err := broker.Open(ctx, broker.Options{Dir: filepath.Join(dir, "store"), Durability: d, AckWait: 2 * time.Second})
	if err != nil {
		return err
	}
	s, err := blob.Open(blob.Options{Objects: b.Objects(), Cache: filepath.Join(dir, "cache")})
	if err != nil {
		return err
	}
	x, err := index.Open(filepath.Join(dir, "index.db"))
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	var failed error
	running.Go(func() { failed = x.Run(ctx, b) })
	q, err := queue.Open(ctx, b, s, x, queue.Options{Sweep: 200 * time.Millisecond, LostAfter: time.Second})
	if err != nil {
		return err
	}
	w := fakenode.Worker{ID: fmt.Sprint("w", os.Getpid()), Broker: b, Runs: outcome}
	running.Go(func() {
		for ctx.Err() == nil { // it ends at the first thing that goes wrong
			if err := w.Run(ctx, tasks.DefaultQueue); err != nil {
				fmt.Fprintln(os.Stderr, "served: the worker begins again:", err)
			}
		}
	})
	err = serve(ctx, q)
	stop()
	err = cmp.Or(err, q.Close())
	running.Wait()
	return errors.Join(err, failed, x.Close(), s.Close(), b.Close())
}

// outcome fails the first time for every seventh task of a job that is to fail.
func outcome(t *tasks.Task, j *tasks.Job) tasks.Outcome {
	if string(j.Call.Code.Data) == taskcrash.Failing && t.N%7 == 0 && t.Origin == "" {
		return fakenode.Fails(t, j)
	}
	return fakenode.Done(t, j)
}

func serve(ctx context.Context, q *queue.Queue) error {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(taskcrash.Answer{}); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var r taskcrash.Request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return err
		}
		a, err := answer(ctx, q, r)
		if err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}

var user = queue.Who{Owner: "ann"}

func answer(ctx context.Context, q *queue.Queue, r taskcrash.Request) (a taskcrash.Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var out []queue.Outcome
	switch r.Do {
	case taskcrash.Submit:
		s := &queue.Submission{Array: true, Job: tasks.Job{
			Lane: tasks.Normal, Key: r.Key, DependsOn: r.After, MaxRunning: r.MaxRunning,
			Call: tasks.Call{Kind: tasks.CallFunction, Code: tasks.Value{Data: []byte(r.Code)}, Text: true},
		}}
		for n := range r.N {
			s.Elements = append(s.Elements, fmt.Append(nil, n))
		}
		j, _, err := q.Submit(ctx, user, s)
		if err != nil {
			return a, err
		}
		return taskcrash.Answer{Job: j.ID}, nil
	case taskcrash.Retry:
		out, err = q.Retry(ctx, user, []string{r.Job}, queue.RetryOptions{})
	case taskcrash.Cancel:
		out, err = q.Cancel(ctx, user, []string{r.Job})
	case taskcrash.Delete:
		out, err = q.Delete(ctx, user, []string{r.Job})
	case taskcrash.Wait:
		w, err := q.Wait(ctx, user, []string{r.Job}, queue.All)
		if err == nil && !w.Done {
			err = fmt.Errorf("it has not ended: %v", w.States)
		}
		return taskcrash.Answer{States: w.States}, err
	case taskcrash.Count:
		a.States, err = q.Counts(ctx, user, index.Filter{})
		return a, err
	}
	for _, o := range out {
		err = errors.Join(err, o.Err)
	}
	return a, err
}
