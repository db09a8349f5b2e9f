package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MaxLog is the most bytes of one log message; longer ones are cut.
const MaxLog = 64 << 10

func logSubject(job string, n int) string { return "rp.log." + job + "." + strconv.Itoa(n) }

// Log adds a message to the log of a task, which keeps the last LogLines, for a month.
// It is stored soon, and in order, but Log does not wait for it: Log waits only where
// too many are on their way.
func (b *Broker) Log(ctx context.Context, job string, n int, data []byte) error {
	if len(data) > MaxLog {
		data = append(data[:MaxLog-4:MaxLog-4], " …"...)
	}
	return b.logTo(ctx, logSubject(job, n), data)
}

func (b *Broker) logTo(ctx context.Context, subject string, data []byte) error {
	for {
		_, err := b.logs.PublishMsgAsync(&nats.Msg{Subject: subject, Data: data}, jetstream.WithStallWait(ackTimeout))
		if errors.Is(err, jetstream.ErrTooManyStalledMsgs) && b.over(ctx) == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("log %s: %w", subject, b.final(ctx, err))
		}
		return nil
	}
}

// FlushLog waits until what Log was given is stored.
func (b *Broker) FlushLog(ctx context.Context) error {
	select {
	case <-b.logs.PublishAsyncComplete():
		return nil
	case <-b.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("flush logs: %w", ctx.Err())
	}
}

// ReadLog calls f with what the log of a task has after sequence number after; 0 is all
// of it.
func (b *Broker) ReadLog(ctx context.Context, job string, n int, after uint64, f func(seq uint64, t time.Time, data []byte) error) error {
	for {
		ask := map[string]any{"seq": after + 1, "next_by_subj": logSubject(job, n), "batch": 500, "max_bytes": 4 << 20}
		last, more, err := b.directBatch(ctx, logStream, ask, func(r Record, _ *nats.Msg) error { return f(r.Seq, r.Time, r.Data) })
		if err != nil {
			return fmt.Errorf("log of %s.%d: %w", job, n, err)
		}
		if !more {
			return nil
		}
		after = last
	}
}

// FollowLog is as ReadLog, and goes on with what comes, until ctx ends or f returns an
// error.
func (b *Broker) FollowLog(ctx context.Context, job string, n int, after uint64, f func(seq uint64, t time.Time, data []byte) error) error {
	err := b.feed(ctx, subscription{stream: logStream, filter: logSubject(job, n), from: after}, func(ms []*nats.Msg) error {
		for _, m := range ms {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if err := f(meta.Sequence.Stream, meta.Timestamp, m.Data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("log of %s.%d: %w", job, n, err)
	}
	return nil
}

// DropLogs removes the log of task n of a job; 0 is all of the job's.
func (b *Broker) DropLogs(ctx context.Context, job string, n int) error {
	subject := "rp.log." + job + ".>"
	if n > 0 {
		subject = logSubject(job, n)
	}
	if err := b.purge(ctx, logStream, subject); err != nil {
		return fmt.Errorf("drop the logs %s: %w", subject, err)
	}
	return nil
}
