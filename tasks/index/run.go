package index

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

const (
	// batch is how many changes go into one transaction, at most: what has arrived
	// while the last one was written.
	batch = 8000
	// part is how many are read, told to subscribers and handed to the writer at once.
	part = 1000
	// linger is how long after a transaction the next one waits for more.
	linger = 50 * time.Millisecond
	// margin is how much earlier than the stream forgets a deletion the index gives up
	// hope of hearing of it.
	margin = time.Hour
)

// errReplaced ends feeding where the file was dropped.
var errReplaced = errors.New("the file is made anew")

// Run feeds the index until ctx ends, and returns nil then. It is called once.
func (x *Index) Run(ctx context.Context, s Source) error {
	for {
		err := x.follow(ctx, s)
		switch {
		case ctx.Err() != nil:
			return nil
		case damaged(err):
			if err := x.replace("the file was damaged: " + err.Error()); err != nil {
				return err
			}
		case err == nil:
			return errors.New("index: the feed of records has ended")
		case !errors.Is(err, errReplaced):
			return err
		}
	}
}

// follow feeds the file until it must be dropped.
func (x *Index) follow(ctx context.Context, s Source) error {
	epoch, err := s.Epoch(ctx)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	last, err := s.LastSeq(ctx)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	x.now.Lock()
	x.now.Last = last
	x.now.Unlock()
	from, why, err := x.fits(epoch, last)
	if err != nil {
		return err
	}
	if why != "" {
		if err := x.replace(why); err != nil {
			return err
		}
		from = 0
	}
	w, err := newWriter(x.file.write)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	x.reached(from, 0)
	x.now.Lock()
	if from == 0 && last > 0 {
		x.rebuilding("there was no file")
	}
	x.now.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if from == 0 {
		if err := x.jobsFirst(ctx, s, w, epoch); err != nil {
			return err
		}
	}
	in := make(chan []change, 4)
	var writing sync.WaitGroup
	writing.Go(func() { cancel(x.write(ctx, w, in, last)) })
	err = s.Feed(ctx, from, func(records []broker.Record) error {
		if len(records) == 0 {
			// All up to last has come. What has not is not there any more.
			return x.hand(ctx, in, []change{{kind: other, seq: last}})
		}
		return x.take(ctx, in, records)
	})
	close(in)
	writing.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// fits says from which change on the file lacks what is in the stream, or why it does
// not fit.
func (x *Index) fits(epoch string, last uint64) (from uint64, why string, err error) {
	var was string
	var seen time.Time
	err = x.file.write.query("SELECT epoch, seq, seen FROM state", nil, func(r []driver.Value) error {
		was, from, seen = text(r[0]), uint64(number(r[1])), moment(number(r[2]))
		return nil
	})
	switch {
	case err != nil:
		return 0, "", fmt.Errorf("index: %w", err)
	case was == "" && from == 0:
		return 0, "", nil
	case was != epoch:
		return 0, "it was of another stream of records", nil
	case from > last:
		return 0, "the stream of records is shorter than it was", nil
	case time.Since(seen) > broker.DeletionsKept-margin:
		return 0, "it was not fed for longer than the stream tells of deletions", nil
	}
	return from, "", nil
}

// jobsFirst reads the jobs into a new file, in the order in which they were made: their
// records, and those of their tasks, may have been written again since.
func (x *Index) jobsFirst(ctx context.Context, s Source, w *writer, epoch string) error {
	if err := w.c.exec("UPDATE state SET epoch = ?", epoch); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	found := sorter{c: w.c}
	if err := found.begin(); err != nil {
		return err
	}
	defer found.end()
	err := s.Range(ctx, tasks.JobSubjects, func(r broker.Record) error {
		if c := changeOf(r); c.kind == jobRecord && !c.gone {
			return found.add(c.job.created, r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index: read jobs: %w", err)
	}
	return found.sorted(func(records []broker.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.apply(changesOf(records), 0, time.Now())
	})
}

// take reads records, tells of them, and hands them on.
func (x *Index) take(ctx context.Context, in chan<- []change, records []broker.Record) error {
	for len(records) > 0 {
		n := min(part, len(records))
		changes := changesOf(records[:n])
		records = records[n:]
		for i := range changes {
			if c := &changes[i]; c.task != nil {
				x.subs.publish(c.task)
				c.task = nil // with its values
			}
		}
		x.now.Lock()
		x.now.Last = max(x.now.Last, changes[n-1].seq)
		x.now.Unlock()
		if err := x.hand(ctx, in, changes); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) hand(ctx context.Context, in chan<- []change, changes []change) error {
	select {
	case in <- changes:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write writes what comes, until in is closed. last is where a rebuild ends.
func (x *Index) write(ctx context.Context, w *writer, in <-chan []change, last uint64) error {
	x.caughtUp(last)
	seq := x.Status().Seq
	var wrote time.Time
	for {
		var changes []change
		select {
		case c, ok := <-in:
			if !ok {
				return nil
			}
			changes = c
		case err := <-x.unsound:
			return err
		}
		changes = x.gather(in, changes, wrote.Add(linger))
		for _, c := range changes {
			seq = max(seq, c.seq)
		}
		if err := w.apply(changes, seq, time.Now()); err != nil {
			return err
		}
		wrote = time.Now()
		x.reached(seq, w.damaged)
		x.caughtUp(last)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// gather adds what has come, and, where the last transaction was just now and nobody
// waits in Sync, what comes until then: of a task that is claimed and done in that time
// only the last record is written.
func (x *Index) gather(in <-chan []change, changes []change, then time.Time) []change {
	var pause <-chan time.Time
	if d := time.Until(then); d > 0 && !x.awaited() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		pause = timer.C
	}
	for len(changes) < batch {
		if pause == nil {
			select {
			case c, ok := <-in:
				if !ok {
					return changes
				}
				changes = append(changes, c...)
				continue
			default:
				return changes
			}
		}
		select {
		case c, ok := <-in:
			if !ok {
				return changes
			}
			changes = append(changes, c...)
		case <-pause:
			pause = nil
		case <-x.hurry:
			pause = nil
		}
	}
	return changes
}

// caughtUp ends a rebuild where what was in the stream when it began can be read.
func (x *Index) caughtUp(last uint64) {
	x.now.Lock()
	defer x.now.Unlock()
	if x.now.Rebuilding && x.now.Seq >= last {
		x.now.Rebuilding, x.now.Since, x.now.Why = false, time.Time{}, ""
	}
}
