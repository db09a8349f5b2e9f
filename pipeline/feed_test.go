package pipeline

import (
	"context"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

var one = arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)

// slowReader gives reads of ten rows, each after a pause of the bubble's clock.
type slowReader struct {
	reads int
	pause time.Duration
	fail  error // at the end, in place of io.EOF
	done  int
}

func (r *slowReader) Schema() *frame.Schema  { return one }
func (r *slowReader) Size() sources.Size     { return sources.Size{} }
func (r *slowReader) Close() error           { return nil }
func (r *slowReader) Traits() sources.Traits { return sources.Traits{Ordered: true, Replayable: true} }

func (r *slowReader) Next(ctx context.Context) (*sources.Read, error) {
	if r.done == r.reads {
		if r.fail != nil {
			return nil, r.fail
		}
		return nil, io.EOF
	}
	select {
	case <-time.After(r.pause):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b := array.NewInt64Builder(frame.Allocator)
	for i := range 10 {
		b.Append(int64(10*r.done + i))
	}
	r.done++
	return &sources.Read{Frame: frame.New(one, []arrow.Array{b.NewArray()}, 10), Bytes: 100, Pos: strconv.Itoa(10 * r.done)}, nil
}

// fed runs a feed into a sink that takes its time, and drains it after some.
func fed(t *testing.T, f *feed, drain, sink time.Duration) (rows int64, batches int, err error) {
	run := stages.NewRun(t.Context())
	edge := stages.From(run, "source", 1, f.run)
	stages.To(run, "sink", edge, func(ctx context.Context, in <-chan *stages.Rows) error {
		for {
			b, ok, err := stages.Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			time.Sleep(sink) // the bubble's clock
			rows += b.Value.NumRows()
			batches++
			b.Settle(nil)
		}
	})
	if drain > 0 {
		time.Sleep(drain) // the bubble's clock
		run.Drain()
	}
	return rows, batches, run.Wait()
}

func TestFeedReadsToTheEndOrTheLimit(t *testing.T) {
	f := func(reads int, limit, wantRows int64, wantReads int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := &slowReader{reads: reads}
			ledger := stages.NewLedger(0, 0)
			rows, _, err := fed(t, &feed{reader: r, ledger: ledger, limit: limit}, 0, 0)
			if err != nil || rows != wantRows || r.done != wantReads {
				t.Errorf("%d reads, limit %d: %d rows of %d reads, %v", reads, limit, rows, r.done, err)
			}
			if _, open := ledger.Frontier(); open != 0 {
				t.Errorf("%d reads open", open)
			}
		})
	}
	f(5, 0, 50, 5)
	f(5, 100, 50, 5)
	f(5, 50, 50, 5)
	f(5, 25, 25, 3)
	f(5, 20, 20, 2)
	f(5, 1, 1, 1)
}

func TestAnInputWithoutRowsTellsItsSchema(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows, batches, err := fed(t, &feed{reader: &slowReader{}, ledger: stages.NewLedger(0, 0)}, 0, 0)
		if rows != 0 || batches != 1 || err != nil {
			t.Errorf("%d rows in %d batches, %v", rows, batches, err)
		}
	})
}

func TestADrainEndsAReadAndAWaitForMemory(t *testing.T) {
	f := func(pause, sink time.Duration, memory int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ledger := stages.NewLedger(memory, 0)
			start := time.Now()
			rows, _, err := fed(t, &feed{reader: &slowReader{reads: 1 << 30, pause: pause}, ledger: ledger}, 90*time.Second, sink)
			if err != nil || rows == 0 {
				t.Errorf("%d rows, %v", rows, err)
			}
			if d := time.Since(start); d > 5*time.Minute {
				t.Errorf("the drain took %v", d-90*time.Second)
			}
			front, open := ledger.Frontier()
			at, err := parseMark(front)
			if err != nil || open != 0 || at.Pos != strconv.FormatInt(rows, 10) || at.Rows != rows || at.Reads != uint64(rows/10) {
				t.Errorf("frontier %s of %d rows, %d open, %v", front, rows, open, err)
			}
		})
	}
	f(time.Minute, 0, 0)                // in the middle of a read
	f(0, 30*time.Second, 2*10*8)        // while waiting for memory
	f(time.Millisecond, time.Second, 0) // while sending
}

func TestAReadErrorSaysHowFarItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("x.csv:31: 3 fields, not 2")
		_, _, err := fed(t, &feed{reader: &slowReader{reads: 3, fail: bad}, ledger: stages.NewLedger(0, 0)}, 0, 0)
		if !errors.Is(err, bad) || err.Error() != "source: after 30 rows: x.csv:31: 3 fields, not 2" {
			t.Error(err)
		}
	})
}
