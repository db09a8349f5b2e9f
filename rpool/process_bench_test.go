//go:build unix

package rpool

import (
	"sync"
	"testing"
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
