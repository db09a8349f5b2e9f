package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	feedBatch     = 500
	feedExpires   = 30 * time.Second
	feedHeartbeat = 2 * time.Second // of a server that has nothing to tell
)

// Feed calls f with every change after sequence number from, in order, in batches as
// they come: at once where nothing else has come. A record that changed several times
// before it was read comes once, as it is then. Deleted and expired ones come with no
// Data, for DeletionsKept. When there is nothing more for the first time f is called with
// none: what LastSeq said before Feed has been read then, also where the last ones are
// not there any more. Feed returns when ctx ends, or f with its error.
func (b *Broker) Feed(ctx context.Context, from uint64, f func([]Record) error) error {
	return b.follow(ctx, subscription{stream: recordStream, from: from}, f)
}

// Follow is as Feed from the beginning, for records whose subjects match one of filters,
// such as rp.q.>, which must not overlap.
func (b *Broker) Follow(ctx context.Context, filters []string, f func([]Record) error) error {
	return b.follow(ctx, subscription{stream: recordStream, filters: filters}, f)
}

func (b *Broker) follow(ctx context.Context, s subscription, f func([]Record) error) error {
	told := false
	level := func(pending uint64) error {
		if told || pending > 0 {
			return nil
		}
		told = true
		return f(nil)
	}
	s.level = level
	err := b.feed(ctx, s, func(ms []*nats.Msg) error {
		rs := make([]Record, len(ms))
		for i, m := range ms {
			var err error
			if rs[i], err = delivered(m); err != nil {
				return err
			}
		}
		if err := f(rs); err != nil {
			return err
		}
		meta, err := ms[len(ms)-1].Metadata()
		if err != nil {
			return err
		}
		return level(meta.NumPending)
	})
	if err != nil {
		return fmt.Errorf("feed of records: %w", err)
	}
	return nil
}

// delivered is the record in a message of a consumer.
func delivered(m *nats.Msg) (Record, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Record{}, err
	}
	r := Record{Subject: m.Subject, Seq: meta.Sequence.Stream, Time: meta.Timestamp}
	if !gone(m.Header) {
		r.Data = solid(m.Data)
	}
	return r, nil
}

// subscription is what feed reads.
type subscription struct {
	stream  string
	filter  string   // "" is all
	filters []string // in its place
	from    uint64   // after this one
	batch   int      // messages asked for at a time, and given at most; 0 is feedBatch
	heads   bool     // headers only
	// until it has nothing more to give; else until the context ends.
	once bool
	// level is told how many messages are still to come when reading begins; nil for none.
	level func(pending uint64) error
}

// errEnd ends a feed without an error.
var errEnd = errors.New("end")

// feed reads a stream in order through a consumer of its own, and makes another one
// where something was lost: messages, the server, the connection.
func (b *Broker) feed(ctx context.Context, s subscription, f func([]*nats.Msg) error) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		before := s.from
		err := b.feedSome(ctx, &s, f)
		var theirs stopped
		switch {
		case errors.As(err, &theirs):
			return theirs.err
		case errors.Is(err, errEnd):
			return nil
		case b.over(ctx) != nil:
			return b.over(ctx)
		case !errors.Is(err, errAgain) && !transient(err):
			return explain(err)
		}
		b.log.Debug("task store: feed begins anew", "stream", s.stream, "after", s.from, "err", err)
		if s.from > before {
			pause = 10 * time.Millisecond
		}
		if err := b.rest(ctx, pause); err != nil {
			return err
		}
	}
}

var errAgain = errors.New("something was lost")

// feedSome reads until there is an error.
func (b *Broker) feedSome(ctx context.Context, s *subscription, f func([]*nats.Msg) error) error {
	config := jetstream.ConsumerConfig{
		Name:          "f_" + b.tag + "_" + base36(b.writes.Add(1)),
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.from + 1,
		AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1, MemoryStorage: true, Replicas: 1,
		FilterSubject: s.filter, FilterSubjects: s.filters, HeadersOnly: s.heads, InactiveThreshold: time.Minute,
	}
	try, cancel := context.WithTimeout(ctx, tryTimeout)
	consumer, err := b.js.CreateConsumer(try, s.stream, config)
	cancel()
	if err != nil {
		return err
	}
	defer func() {
		if !b.nc.IsConnected() {
			return
		}
		// It would end by itself, a minute later.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		b.js.DeleteConsumer(ctx, s.stream, config.Name) //nolint:errcheck // see above
	}()
	if s.once && consumer.CachedInfo().NumPending == 0 {
		return errEnd
	}
	if s.level != nil {
		if err := s.level(consumer.CachedInfo().NumPending); err != nil {
			return stopped{err}
		}
	}
	r := reader{b: b, s: s, name: config.Name, pull: "$JS.API.CONSUMER.MSG.NEXT." + s.stream + "." + config.Name, inbox: b.nc.NewInbox()}
	if r.sub, err = b.nc.SubscribeSync(r.inbox); err != nil {
		return err
	}
	defer r.sub.Unsubscribe() //nolint:errcheck // it fails on a closed connection only
	if err := r.sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	reading, lost := context.WithCancel(ctx)
	defer lost()
	defer b.whenBack(lost)() // after which the consumer may not be there any more
	for {
		ms, end, err := r.next(reading)
		if err != nil {
			if reading.Err() != nil && ctx.Err() == nil {
				err = errAgain
			}
			return err
		}
		if len(ms) > 0 {
			if err := f(ms); err != nil {
				return stopped{err}
			}
			s.from = r.last
		}
		if end {
			return errEnd
		}
	}
}

// stopped has the error of the reader's function.
type stopped struct{ err error }

func (e stopped) Error() string { return e.err.Error() }

// reader takes messages from a consumer.
type reader struct {
	b     *Broker
	s     *subscription
	name  string // of the consumer
	pull  string
	inbox string
	sub   *nats.Subscription
	asked int    // messages that are still to come for open requests
	count uint64 // messages that have come
	last  uint64 // sequence number of the last one
}

// next waits for a message and takes those that are there with it.
func (r *reader) next(ctx context.Context) (ms []*nats.Msg, end bool, err error) {
	batch := cmp.Or(r.s.batch, feedBatch)
	for len(ms) == 0 || len(ms) < batch && r.waiting() {
		if r.asked <= batch/2 {
			if err := r.ask(batch); err != nil {
				return nil, false, err
			}
		}
		wait, cancel := context.WithTimeout(ctx, 2*feedHeartbeat+time.Second)
		m, err := r.sub.NextMsgWithContext(wait)
		cancel()
		if err != nil {
			if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				err = errAgain // not even a heartbeat
			}
			return nil, false, err
		}
		switch status := m.Header.Get(headStatus); {
		case status == "100", status == "408", status == "404":
			if status != "100" {
				r.asked = 0 // a request has ended
			}
			if r.s.once { // what was to come may have been deleted
				if end, err := r.empty(ctx); end || err != nil {
					return ms, end, err
				}
			}
			continue
		case status != "" && m.Subject == r.inbox:
			return nil, false, fmt.Errorf("%w: %s %s", errAgain, status, m.Header.Get("Description"))
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, false, err
		}
		r.count++
		if meta.Sequence.Consumer != r.count {
			return nil, false, errAgain
		}
		r.asked--
		r.last = meta.Sequence.Stream
		ms = append(ms, m)
		if r.s.once && meta.NumPending == 0 {
			return ms, true, nil
		}
	}
	return ms, false, nil
}

// empty reports whether the consumer has nothing more.
func (r *reader) empty(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	c, err := r.b.js.Consumer(ctx, r.s.stream, r.name)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errAgain, err)
	}
	return c.CachedInfo().NumPending == 0 && !r.waiting(), nil
}

func (r *reader) waiting() bool {
	n, _, err := r.sub.Pending()
	return err == nil && n > 0
}

func (r *reader) ask(batch int) error {
	body := fmt.Sprintf(`{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, batch, feedExpires, feedHeartbeat)
	r.asked += batch
	return r.b.nc.PublishRequest(r.pull, r.inbox, []byte(body))
}
