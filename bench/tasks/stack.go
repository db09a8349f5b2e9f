//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/internal/fakenode"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/node"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// stack is what rpipe serve runs, without HTTP.
type stack struct {
	*queue.Queue
	b       *broker.Broker
	s       *blob.Store
	x       *index.Index
	stop    func()
	running sync.WaitGroup
	errs    [2]error
	opened  time.Duration // how long the engine took
	ready   time.Duration // how long all took
}

// open opens a store in dir.
func open(dir string, durability broker.Durability) (*stack, error) {
	began := time.Now()
	ctx, stop := context.WithCancel(context.Background())
	k := &stack{stop: stop}
	fail := func(err error) (*stack, error) { stop(); k.running.Wait(); return nil, err }
	var err error
	if k.b, err = broker.Open(ctx, broker.Options{Dir: filepath.Join(dir, "store"), Durability: durability}); err != nil {
		return fail(err)
	}
	k.opened = time.Since(began)
	if k.s, err = blob.Open(blob.Options{Objects: k.b.Objects(), Cache: filepath.Join(dir, "cache")}); err != nil {
		return fail(err)
	}
	if k.x, err = index.Open(filepath.Join(dir, "index.db")); err != nil {
		return fail(err)
	}
	k.running.Go(func() { k.errs[0] = k.x.Run(ctx, k.b) })
	if k.Queue, err = queue.Open(ctx, k.b, k.s, k.x, queue.Options{}); err != nil {
		return fail(err)
	}
	seq, err := k.b.LastSeq(ctx)
	if err == nil {
		err = k.x.Sync(ctx, seq)
	}
	k.ready = time.Since(began)
	if err != nil {
		return fail(err)
	}
	return k, nil
}

// work starts a worker: with R processes, or without R where there are none.
func (k *stack) work(dir string, processes int) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if processes == 0 {
		w := &fakenode.Worker{ID: "bench", Broker: k.b, Runs: fakenode.Done}
		running.Go(func() { k.errs[1] = w.Run(ctx, tasks.DefaultQueue) })
	} else {
		n, err := node.New(k.b, k.s, node.Options{ID: "bench", Min: processes, Max: processes, CacheDir: filepath.Join(dir, "node")})
		if err != nil {
			cancel()
			return nil, err
		}
		running.Go(func() { k.errs[1] = n.Run(ctx) })
	}
	return func() { cancel(); running.Wait() }, nil
}

func (k *stack) close() error {
	err := k.Close()
	k.stop()
	k.running.Wait()
	return errors.Join(err, k.errs[0], k.errs[1], k.x.Close(), k.s.Close(), k.b.Close())
}

var user = queue.Who{Owner: "bench"}

// numbers are n elements: R's serialization of small numbers.
func numbers(n int) [][]byte {
	elements := make([][]byte, n)
	for i := range elements {
		elements[i] = fmt.Appendf(nil, "A\n2\n262656\n131840\n13\n1\n%d\n", i+1)
	}
	return elements
}

func submission(n int) *queue.Submission {
	s := &queue.Submission{Job: tasks.Job{Lane: tasks.Normal, Name: "bench", Call: tasks.Call{Kind: tasks.CallFunction, Text: true, Code: tasks.Value{Data: []byte("function(x) x")}}}}
	if n > 0 {
		s.Array, s.Elements = true, numbers(n)
	} else {
		s.Job.Call.Args = []tasks.Arg{{Value: tasks.Value{Data: numbers(1)[0]}}}
	}
	return s
}

// bulk submits n tasks in one call, waits for them and reads all results.
func (k *stack) bulk(n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	began := time.Now()
	j, _, err := k.Submit(ctx, user, submission(n))
	if err != nil {
		return 0, err
	}
	got := 0
	err = k.Results(ctx, user, j.ID, queue.ResultsOptions{Follow: true}, func(_ int, t *tasks.Task) error {
		if t.State != tasks.Complete {
			return fmt.Errorf("task %s is %s: %+v", t.ID(), t.State, t.Failure)
		}
		got++
		return nil
	})
	if err == nil && got != n {
		err = fmt.Errorf("%d results of %d tasks", got, n)
	}
	return time.Since(began), err
}

// one submits a task, waits for it and reads its result.
func (k *stack) one() (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := time.Now()
	j, _, err := k.Submit(ctx, user, submission(0))
	if err != nil {
		return 0, err
	}
	if _, err := k.Wait(ctx, user, []string{j.ID}, queue.All); err != nil {
		return 0, err
	}
	_, err = k.Result(ctx, user, tasks.TaskID(j.ID, 1))
	return time.Since(began), err
}

// fsync is how long the disk takes for one small write.
func fsync(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	took := make([]time.Duration, 200)
	for i := range took {
		if _, err := f.Write(make([]byte, 300)); err != nil {
			return 0, err
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	return median(took), nil
}
