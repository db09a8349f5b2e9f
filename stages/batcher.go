package stages

import (
	"context"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Batcher cuts the stream into batches for the stages after it. Rows and
// Bytes are hard limits: a batch is split, never exceeded, unless one row alone
// is larger than Bytes.
type Batcher struct {
	Rows   int              `yaml:"rows" default:"10000" min:"0" doc:"Rows in a batch, at most. 0 is no limit."`
	Bytes  configs.Size     `yaml:"bytes" default:"16MiB" doc:"Bytes in a batch, at most, as the columns take them in memory. 0 is no limit."`
	Period configs.Duration `yaml:"period" default:"0s" doc:"How long rows wait for a batch to fill, from its first row. 0 is until the input ends."`
}

// Check implements configs.Checker.
func (c *Batcher) Check(report func(field, message, hint string)) {
	if c.Rows == 0 && c.Bytes == 0 && c.Period == 0 {
		report("", "rows, bytes and period are all off, so nothing would ever be cut", "give at least one limit, such as rows: 10000")
	}
}

// Plan implements Transform.
func (c *Batcher) Plan(in *frame.Schema) (*frame.Schema, error) { return in, nil }

// Build implements Transform.
func (c *Batcher) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	return Rebatch(Policy{Rows: c.Rows, Bytes: int64(c.Bytes), Period: time.Duration(c.Period)}), nil
}

// Policy says when a batch is full. A zero field is no limit.
type Policy struct {
	Rows   int
	Bytes  int64
	Period time.Duration // from the first row of the batch
}

// Rebatch cuts its input into batches by the policy. The end of the input and a
// new epoch flush at once.
func Rebatch(p Policy) Stage[frame.Frame, frame.Frame] {
	return func(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
		b := &cutter{policy: p, out: out, view: meterOf(ctx)}
		defer b.stopClock()
		stuck := 0
		for {
			var idle <-chan time.Time
			if b.rows > 0 {
				idle = time.After(stuckCheck)
			}
			waited := time.Now()
			select {
			case next, ok := <-in:
				if !ok {
					return b.flush(ctx, "end")
				}
				stuck = 0
				b.view.received(next.Rows, next.Bytes, time.Since(waited))
				if err := b.add(ctx, next); err != nil {
					return err
				}
			case <-b.due:
				if err := b.flush(ctx, "period"); err != nil {
					return err
				}
			case <-idle:
				if !b.isStuck() {
					stuck = 0
				} else if stuck++; stuck == stuckChecks {
					return b.tooLarge()
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// stuckCheck is how long those who hold rows wait for more before they look
// whether any can come. A batch gives up when it has been stuck at stuckChecks
// such looks: a later stage may give way meanwhile.
const (
	stuckCheck  = 250 * time.Millisecond
	stuckChecks = 4
)

// cutter holds the pieces of the batch that is being filled.
type cutter struct {
	policy Policy
	out    chan<- *Rows
	view   view
	timer  *time.Timer
	due    <-chan time.Time

	pieces  []frame.Frame
	origins []*Origin
	rows    int
	bytes   int64
	epoch   uint64
	seq     uint64
	first   int64
}

// add takes a batch apart at the limits and sends on what is full.
func (b *cutter) add(ctx context.Context, in *Rows) error {
	if b.rows > 0 && b.epoch != in.Epoch {
		if err := b.flush(ctx, "epoch"); err != nil {
			return err
		}
	}
	b.epoch = in.Epoch
	if in.Rows == 0 { // only the schema: it goes on if nothing else tells it
		return Send(ctx, b.out, in)
	}
	for at := 0; at < in.Rows; {
		n, reason := b.fits(in.Value, at, in.Rows)
		if n == 0 {
			if err := b.flush(ctx, reason); err != nil {
				return err
			}
			continue
		}
		if b.rows == 0 && b.policy.Period > 0 {
			b.timer = time.NewTimer(b.policy.Period)
			b.due = b.timer.C
		}
		piece := in.Value
		if n < in.Rows {
			piece = frame.Slice(in.Value, at, at+n)
		}
		at += n
		b.pieces = append(b.pieces, piece)
		b.rows += n
		b.bytes += frame.Bytes(piece)
		shares := in.Origins
		if at < in.Rows {
			shares = share(in.Origins)
		}
		hold(shares)
		b.origins = append(b.origins, shares...)
		if reason != "" {
			if err := b.flush(ctx, reason); err != nil {
				return err
			}
		}
	}
	return nil
}

// fits is how many of the rows [at, end) of f the batch can still take, and,
// where they fill it, which limit they reach. It is 0 only for a batch with rows.
func (b *cutter) fits(f frame.Frame, at, end int) (n int, reason string) {
	n = end - at
	if p := b.policy.Rows; p > 0 && b.rows+n >= p {
		n, reason = p-b.rows, "rows"
	}
	limit := b.policy.Bytes
	if limit <= 0 || b.bytes+frame.Bytes(frame.Slice(f, at, at+n)) <= limit {
		return n, reason
	}
	// The largest number of rows that fits, by bisection: sizes only grow.
	lo, hi := 0, n
	for lo < hi-1 {
		mid := (lo + hi) / 2
		if b.bytes+frame.Bytes(frame.Slice(f, at, at+mid)) <= limit {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo == 0 && b.rows == 0 {
		lo = 1 // one row that is larger than a batch may be: it goes alone
	}
	return lo, "bytes"
}

func (b *cutter) flush(ctx context.Context, reason string) error {
	b.stopClock()
	if b.rows == 0 {
		return nil
	}
	whole := b.pieces[0]
	if len(b.pieces) > 1 {
		var err error
		if whole, err = frame.Concat(b.pieces...); err != nil {
			return err
		}
	}
	next := &Rows{
		Value: whole, Rows: b.rows, Bytes: b.bytes,
		Seq: b.seq, First: b.first, Epoch: b.epoch, Origins: b.origins,
	}
	release(b.origins)
	b.view.cut(reason)
	b.seq++
	b.first += int64(b.rows)
	b.pieces, b.origins, b.rows, b.bytes = nil, nil, 0, 0
	return Send(ctx, b.out, next)
}

func (b *cutter) stopClock() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer, b.due = nil, nil
	}
}

// isStuck reports whether the batch waits for rows that cannot come, since the
// source waits for the memory of those that are held here and elsewhere.
func (b *cutter) isStuck() bool {
	return len(b.origins) > 0 && b.policy.Period <= 0 && b.origins[0].ledger.stuck()
}

// tooLarge ends a run that would wait for itself for ever.
func (b *cutter) tooLarge() error {
	_, limit := b.origins[0].ledger.Bytes()
	return fmt.Errorf("a batch of %d rows does not fit into the run's memory of %v: %d rows fill it; lower batch.rows or batch.bytes, or raise memory",
		b.policy.Rows, configs.Size(limit), b.rows)
}
