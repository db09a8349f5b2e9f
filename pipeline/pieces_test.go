package pipeline

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// portions reads the numbers from 0 in reads of these sizes.
type portions struct {
	nothingMore
	sizes []int
	at    int
	i     int
}

func (p *portions) Next(context.Context) (*sources.Read, error) {
	if p.i == len(p.sizes) {
		return nil, io.EOF
	}
	b := array.NewInt64Builder(frame.Allocator)
	for range p.sizes[p.i] {
		b.Append(int64(p.at))
		p.at++
	}
	n := p.sizes[p.i]
	p.i++
	return &sources.Read{Frame: frame.New(one, []arrow.Array{b.NewArray()}, n), Pos: fmt.Sprint(p.i, " ", p.at)}, nil
}

// A run that stops at any mark and goes on there has each row once, in order,
// however the reads are divided.
func TestPiecesOfReadsAreTakenUpWhereTheyEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 200), 1, 10).Draw(t, "reads")
		var got []int64
		at := mark{}
		for range 50 {
			p := &portions{sizes: sizes}
			if at.Pos != "" {
				if _, err := fmt.Sscan(at.Pos, &p.i, &p.at); err != nil {
					t.Fatal(err)
				}
			}
			stopAfter := rapid.IntRange(1, 6).Draw(t, "batches")
			l := stages.NewLedger(0, 1)
			f := &feed{
				reader: p, ledger: l, rows: at.Rows, seq: at.Reads, pos: at.Pos, skip: at.Skip,
				pieces: &pieces{rate: float64(rapid.IntRange(smallestPiece, 100).Draw(t, "piece")), every: piecesOfEpoch * 1e9},
			}
			f.pieces.since = f.pieces.since.AddDate(9999, 0, 0) // the rate stays
			run := stages.NewRun(context.Background())
			n := 0
			stages.To(run, "sink", stages.From(run, "source", 0, f.run), func(ctx context.Context, in <-chan *stages.Rows) error {
				for {
					b, ok, err := stages.Receive(ctx, in)
					if !ok || err != nil {
						return err
					}
					if n++; n > stopAfter {
						return io.ErrUnexpectedEOF // dies: the batch is not written
					}
					got = append(got, b.Value.Column(0).(*array.Int64).Int64Values()...)
					b.Settle(nil)
				}
			})
			err := run.Wait()
			front, _ := l.Frontier()
			if front != "" {
				var parsed error
				if at, parsed = parseMark(front); parsed != nil {
					t.Fatal(parsed)
				}
			}
			if err == nil {
				break
			}
		}
		total := 0
		for _, n := range sizes {
			total += n
		}
		for i, v := range got {
			if v != int64(i) {
				t.Fatalf("row %d came at place %d", v, i)
			}
		}
		if len(got) > total || at.Rows != int64(len(got)) {
			t.Fatalf("%d rows of %d, and the mark says %d", len(got), total, at.Rows)
		}
	})
}
