package pipeline

import (
	"math"
	"time"

	"github.com/rpipe-dev/rpipe/stages"
)

// pieces divides reads so that an epoch can end about when it should. An epoch
// commits when all of its reads are settled; a read of 10,240 rows, of which the
// channels between the stages hold a dozen, takes slow stages minutes. So pieces
// are of as many rows as are settled in a part of an epoch.
type pieces struct {
	every time.Duration // length of an epoch; 0 is that of its rows alone

	since   time.Time
	settled int64   // at since
	rate    float64 // rows a second; 0 is not known yet
}

const (
	piecesOfEpoch = 16
	smallestPiece = 32
	firstPiece    = 512 // before anything is known
	rateWindow    = 100 * time.Millisecond
)

// next is how many rows the next piece has.
func (p *pieces) next(l *stages.Ledger) int64 {
	if p.every == 0 {
		return math.MaxInt64
	}
	now, settled := time.Now(), l.SettledRows()
	if p.since.IsZero() {
		p.since = now
	}
	if d := now.Sub(p.since); d >= rateWindow && settled > p.settled {
		rate := float64(settled-p.settled) / d.Seconds()
		if p.rate > 0 {
			rate = (p.rate + rate) / 2
		}
		p.rate, p.since, p.settled = rate, now, settled
	}
	if p.rate == 0 {
		return firstPiece
	}
	return max(smallestPiece, int64(p.rate*p.every.Seconds()/piecesOfEpoch))
}

// divisible reports whether it makes no difference to the output where reads are
// cut: a map that gets them as they are would be called with other batches, and
// so would what counts batches. A batch stage by rows or bytes makes its own.
func (f *File) divisible() bool {
	for _, s := range f.Stages {
		switch c := s.Use.(type) {
		case *stages.Batcher:
			return c.Rows > 0 || c.Bytes > 0
		case *stages.Map:
			return false
		}
	}
	for _, b := range f.branches() {
		for _, s := range b.stages {
			if _, ok := s.Use.(*stages.Map); ok {
				return false
			}
		}
	}
	return true
}
