//go:build unix

package rpool

import (
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// BenchmarkMapOneRow is one map of a one-row data.frame through one worker.
func BenchmarkMapOneRow(b *testing.B) {
	tpl := launched(b, &Environment{Setup: `same <- function(df) df`, Start: StartFork}, nil)
	p := started(b, tpl)
	r := &Request{Kind: Map, Fun: "same", Data: item(b, dataFrame("x", 1))}
	for b.Loop() {
		if _, err := p.Do(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMapOneRowTwoWorkers has two workers at it; the time is for one map.
func BenchmarkMapOneRowTwoWorkers(b *testing.B) {
	tpl := launched(b, &Environment{Setup: `same <- function(df) df`, Start: StartFork}, nil)
	r := &Request{Kind: Map, Fun: "same", Data: item(b, dataFrame("x", 1))}
	workers := []*worker{started(b, tpl), started(b, tpl)}
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			for n := i; n < b.N; n += len(workers) {
				if _, err := w.Do(b.Context(), r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkBareLoopInR is the limit for BenchmarkMapOneRow: what R takes to
// unserialize and serialize the same data.frame in a loop, and nothing else.
func BenchmarkBareLoopInR(b *testing.B) {
	p := started(b, launched(b, &Environment{Setup: `bare <- function(n) {
		r <- serialize(list("same", NULL, NULL, data.frame(x = 1)), NULL, xdr = FALSE, version = 2L)
		for (i in seq_len(n)) serialize(unserialize(r), NULL, xdr = FALSE, version = 2L)
	}`, Start: StartFork}, nil))
	b.ResetTimer()
	if _, err := p.Do(b.Context(), call("bare", &rdata.Double{Values: []float64{float64(b.N)}})); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFork is a worker from a warm template, to its hello and back to
// nothing.
func BenchmarkFork(b *testing.B) {
	tpl := launched(b, &Environment{Start: StartFork}, nil)
	for b.Loop() {
		p, err := tpl.Start(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		p.Stop()
		b.StartTimer()
	}
}

// BenchmarkSpawn is the same with a fresh R for each worker.
func BenchmarkSpawn(b *testing.B) {
	tpl := launched(b, &Environment{Start: StartSpawn}, nil)
	for b.Loop() {
		p, err := tpl.Start(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		p.Stop()
		b.StartTimer()
	}
}

// BenchmarkIsolate is a request in a fork of its own.
func BenchmarkIsolate(b *testing.B) {
	p := started(b, launched(b, &Environment{Start: StartFork, Setup: evalCode}, nil))
	r := run("1")
	r.Isolate = true
	for b.Loop() {
		if _, err := p.Do(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
