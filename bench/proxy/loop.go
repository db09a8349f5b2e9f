//go:build unix

package main

import (
	_ "embed"
	"strconv"
	"sync"

	"github.com/rpipe-dev/rpipe/bench"
)

//go:embed call.R
var callR string

// loop is R processes that do nothing but call the router.
type loop struct{ peers []*bench.Peer }

func startLoop(file string) (*loop, error) {
	l := &loop{}
	for range workers {
		p, err := bench.StartR(callR, file)
		if err != nil {
			l.close()
			return nil, err
		}
		l.peers = append(l.peers, p)
	}
	return l, nil
}

// rate is how many calls a second the first so many of them make together.
func (l *loop) rate(processes, calls int) (float64, error) {
	took, errs := make([]float64, processes), make([]error, processes)
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() { took[i], errs[i] = l.peers[i].Ask(strconv.Itoa(calls)) })
	}
	wg.Wait()
	sum := 0.0
	for i := range processes {
		if errs[i] != nil {
			return 0, errs[i]
		}
		sum += float64(calls) / took[i]
	}
	return sum, nil
}

func (l *loop) close() {
	for _, p := range l.peers {
		p.Close()
	}
}
