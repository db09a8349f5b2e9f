//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/bench/fronts"
)

// memory is what 8 workers with a model take, each after a request that reads
// it and collects garbage. It is measured once: it does not vary.
func memory(s bench.Setting, program string, api fronts.API) error {
	const workers = 8
	if _, err := bench.MemoryOf(os.Getpid()); err != nil {
		fmt.Fprintf(os.Stderr, "bench: memory is left out: %v\n", err)
		return nil
	}
	doubles := s.Pick(62_500_000, 1_000_000)
	if err := os.Setenv("MODEL", fmt.Sprint(doubles)); err != nil {
		return err
	}
	defer os.Unsetenv("MODEL")
	rpipe := &bench.Side{Name: fmt.Sprintf("rpipe proxy, %d workers: all its processes", workers), Run: func() (float64, error) {
		server, err := fronts.RPipe(program, api, workers)
		if err != nil {
			return 0, err
		}
		defer server.Close()
		if err := server.Ready(path); err != nil {
			return 0, err
		}
		return touched(api, workers, func(int) *fronts.Server { return server }, server)
	}}
	plumber := &bench.Side{Name: fmt.Sprintf("%d plumber processes", workers), Bar: "≤ 0.333", Run: func() (float64, error) {
		var all []*fronts.Server
		defer func() {
			for _, server := range all {
				server.Close()
			}
		}()
		for range workers {
			server, err := fronts.Plumber(api)
			if err != nil {
				return 0, err
			}
			all = append(all, server)
		}
		for _, server := range all {
			if err := server.Ready(path); err != nil {
				return 0, err
			}
		}
		return touched(api, workers, func(i int) *fronts.Server { return all[i] }, all...)
	}}
	model := &bench.Side{Name: "the model", Run: func() (float64, error) { return float64(8 * doubles), nil }}
	if err := bench.Once(rpipe, plumber, model); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("Memory (Pss) with a model of %d MB", 8*doubles/1_000_000), bench.Megabytes, rpipe, plumber, model)
	return nil
}

// touched is the memory of servers when each worker has read the model.
func touched(api fronts.API, workers int, server func(i int) *fronts.Server, all ...*fronts.Server) (float64, error) {
	dir, err := os.MkdirTemp(api.Dir, "touched-")
	if err != nil {
		return 0, err
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			errs[i] = get(fmt.Sprintf("http://%s/touch?dir=%s&workers=%d", server(i).Addr, dir, workers))
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	var pids []int
	for _, s := range all {
		pids = append(pids, s.Pids()...)
	}
	sum, err := bench.MemoryOf(pids...)
	return sum.Pss, err
}
