//go:build unix

package fronts

import (
	"fmt"
	"os"
)

// Peer is another's program in a comparison. That it fails now and then, as some
// do by dropping connections, is to be told and not to end the benchmark.
type Peer struct {
	Name   string
	Failed int
}

// tries is how often a measurement of a peer is made until one succeeds.
const tries = 5

// Measure makes a measurement, and makes it again where it fails.
func (p *Peer) Measure(run func() (float64, error)) func() (float64, error) {
	return func() (v float64, err error) {
		for range tries {
			if v, err = run(); err == nil {
				return v, nil
			}
			p.Failed++
			fmt.Fprintf(os.Stderr, "bench: %s failed and is measured again: %v\n", p.Name, err)
		}
		return 0, err
	}
}

// Tell prints what has failed.
func Tell(peers []*Peer) {
	for _, p := range peers {
		if p.Failed > 0 {
			fmt.Printf("%s failed in %d measurements, which were made again.\n\n", p.Name, p.Failed)
		}
	}
}
