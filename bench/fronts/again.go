//go:build unix

package fronts

import (
	"fmt"
	"os"

	"github.com/rpipe-dev/rpipe/bench"
)

// Peer is another's program in a comparison. That it fails now and then, as some
// do by dropping connections, is to be told and not to end the benchmark. One that
// fails each time is left out.
type Peer struct {
	Name   string
	Failed int
}

// tries is how often a measurement of a peer is made until one succeeds.
const tries = 5

// Measure has a side's measurements made again where they fail.
func (p *Peer) Measure(side *bench.Side) {
	run := side.Run
	side.MayFail = true
	side.Run = func() (v float64, err error) {
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
