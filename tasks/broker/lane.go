package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rpipe-dev/rpipe/tasks"
)

// lane is one of a queue, and what is asked of its consumer: one request at a time.
type lane struct {
	queue    string
	number   tasks.Lane
	consumer string
	rank     int
	asked    int       // messages that may still come for the open request; 0 is none open
	request  string    // inbox of the open request
	came     int       // messages since it was sent
	until    time.Time // when it is taken for lost
	pending  uint64    // messages that the server had left at the last delivery
	fresh    bool      // pending was told in this Next
	missing  bool      // its consumer does not answer: see find
	retry    time.Time // when it is looked for again
	told     bool      // the log says that it is missing
}

// findMissing looks for the consumers that do not answer, all at a time: they may have no
// leader for now, or have to be made.
func (l *Lanes) findMissing(ctx context.Context) {
	l.mu.Lock()
	var missing []*lane
	for _, a := range l.order {
		if a.missing && time.Now().After(a.retry) {
			missing = append(missing, a)
		}
	}
	l.mu.Unlock()
	each(len(missing), 16, func(i int) error { //nolint:errcheck // it has none
		l.find(ctx, missing[i])
		return nil
	})
}

func (l *Lanes) find(ctx context.Context, a *lane) {
	err := l.b.try(ctx, pullAnswer, func(ctx context.Context) error {
		_, err := l.b.js.Consumer(ctx, workStream, a.consumer)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			l.b.forgetLane(a.consumer)
			err = l.b.ensureLane(ctx, a.queue, a.number)
		}
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && !a.told && l.b.over(ctx) == nil {
		l.b.log.Warn("task store: no work of a lane for now", "consumer", a.consumer, "err", explain(err))
	}
	a.missing, a.told, a.retry = err != nil, err != nil, time.Now().Add(500*time.Millisecond)
}
