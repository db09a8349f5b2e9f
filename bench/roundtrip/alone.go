//go:build unix

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/bench"
)

//go:embed alone.R
var script string

// alone are R processes that make calls without a pool.
type alone struct {
	peers []*bench.Peer
	dir   string
}

func startAlone(n int) (*alone, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	a := &alone{dir: dir}
	for i := range n {
		if err := a.add(filepath.Join(dir, fmt.Sprint(i))); err != nil {
			a.close()
			return nil, err
		}
	}
	return a, nil
}

func (a *alone) add(fifo string) error {
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return err
	}
	// Open at both ends until R has it, or each of R's openings waits for the other.
	f, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := bench.StartR(script, fifo)
	if err != nil {
		return err
	}
	a.peers = append(a.peers, p)
	return nil
}

func (a *alone) close() {
	for _, p := range a.peers {
		p.Close()
	}
	os.RemoveAll(a.dir)
}

// callsPerSecond is the sum over the processes, which work at the same time.
func (a *alone) callsPerSecond(what string, calls int) (sum float64, err error) {
	rates, errs := make([]float64, len(a.peers)), make([]error, len(a.peers))
	var wg sync.WaitGroup
	for i, p := range a.peers {
		wg.Go(func() { rates[i], errs[i] = p.Ask(fmt.Sprint(what, " ", calls)) })
	}
	wg.Wait()
	for _, r := range rates {
		sum += r
	}
	return sum, errors.Join(errs...)
}
