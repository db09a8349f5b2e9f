package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rpipe-dev/rpipe/tasks"
)

// Work says that a task may be claimed: its message in the stream of work.
type Work struct {
	Queue string
	Lane  tasks.Lane
	Job   string
	N     int // of the task, from 1
}

// Told is the record of a task as it was when its work was sent, so that who claims it
// need not read it first: the claim is written on condition that it still is.
type Told struct {
	Rev  uint64 // 0: nothing was told
	Data []byte
}

func (w Work) subject() string {
	return "rp.w." + w.Queue + "." + strconv.Itoa(int(w.Lane)) + "." + w.Job + "." + strconv.Itoa(w.N)
}

// parseWork reads a subject of the stream of work.
func parseWork(subject string) (Work, error) {
	part := strings.Split(subject, ".")
	if len(part) != 6 {
		return Work{}, fmt.Errorf("%q is no subject of work", subject)
	}
	lane, err := strconv.Atoi(part[3])
	if err != nil {
		return Work{}, fmt.Errorf("%q is no subject of work: lane: %w", subject, err)
	}
	n, err := strconv.Atoi(part[5])
	if err != nil {
		return Work{}, fmt.Errorf("%q is no subject of work: number: %w", subject, err)
	}
	return Work{part[2], tasks.Lane(lane), part[4], n}, nil
}

// Push lets the tasks be claimed. It changes nothing for those whose message is there,
// claimed or not.
func (b *Broker) Push(ctx context.Context, ws []Work) error { return b.PushTold(ctx, ws, nil) }

// PushTold is Push, and tells the records beside; told may be nil.
func (b *Broker) PushTold(ctx context.Context, ws []Work, told []Told) error {
	ctx, cancel := b.patient(ctx)
	defer cancel()
	var failed error
	message := func(i int) *nats.Msg {
		m := &nats.Msg{Subject: ws[i].subject(), Header: nats.Header{headExpect: {"0"}}}
		if told != nil && told[i].Rev > 0 {
			m.Data, m.Header[headRev] = told[i].Data, []string{strconv.FormatUint(told[i].Rev, 10)}
		}
		return m
	}
	err := b.publishAll(ctx, len(ws), message, func(i int, _ uint64, err error) bool {
		switch code, _ := apiCode(err); {
		case err == nil, code == codeWrongLast:
		case transient(err) && b.over(ctx) == nil:
			return true
		case failed == nil:
			failed = fmt.Errorf("%s: %w", ws[i].subject(), b.final(ctx, err))
		}
		return false
	})
	if failed == nil && err != nil {
		failed = b.final(ctx, err)
	}
	if failed != nil {
		return fmt.Errorf("push %s: %w", plural(len(ws), "task"), failed)
	}
	return nil
}

// Withdraw removes the messages of the tasks, claimed or not. Those that have none are
// no error.
func (b *Broker) Withdraw(ctx context.Context, ws []Work) error {
	for first := 0; first < len(ws); first += getGroup {
		group := ws[first:min(first+getGroup, len(ws))]
		subjects := make([]string, len(group))
		for i, w := range group {
			subjects[i] = w.subject()
		}
		there, err := b.lastAll(ctx, workStream, subjects)
		if err == nil {
			err = each(len(there), 64, func(i int) error { return b.remove(ctx, workStream, there[i].Seq) })
		}
		if err != nil {
			return fmt.Errorf("withdraw %s: %w", plural(len(ws), "task"), err)
		}
	}
	return nil
}

// remove drops one message of a stream, if it is there; 0 is none.
func (b *Broker) remove(ctx context.Context, stream string, seq uint64) error {
	if seq == 0 {
		return nil
	}
	if err := b.removeOne(ctx, stream, seq); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// removeOne drops one message of a stream. ErrNotFound where it has gone.
func (b *Broker) removeOne(ctx context.Context, stream string, seq uint64) error {
	return b.ask(ctx, "$JS.API.STREAM.MSG.DELETE."+stream, map[string]any{"seq": seq, "no_erase": true})
}

// ask sends a request to the engine.
func (b *Broker) ask(ctx context.Context, subject string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return b.persist(ctx, func(ctx context.Context) error {
		m, err := b.nc.RequestWithContext(ctx, subject, text)
		if err != nil {
			return err
		}
		var answer struct {
			Error *jetstream.APIError `json:"error"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		switch e := answer.Error; {
		case e == nil:
			return nil
		case e.Code == 404, e.ErrorCode == jetstream.JSErrCodeMessageNotFound, e.ErrorCode == 10043, e.Description == "no message found":
			return ErrNotFound
		default:
			return e
		}
	})
}

// Queued is how many tasks have a message in a queue, claimed or not.
func (b *Broker) Queued(ctx context.Context, queue string) (int64, error) {
	var n int64
	for lane := range tasks.Lane(tasks.Lanes) {
		name := consumerName(queue, lane)
		err := b.persist(ctx, func(ctx context.Context) error {
			if err := b.ensureLane(ctx, queue, lane); err != nil {
				return err
			}
			c, err := b.js.Consumer(ctx, workStream, name)
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				b.forgetLane(name)
				return fmt.Errorf("%w: %w", nats.ErrTimeout, err)
			}
			if err == nil {
				info := c.CachedInfo()
				n += int64(info.NumPending) + int64(info.NumAckPending)
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("queue %s: %w", queue, err)
		}
	}
	return n, nil
}

// Purge removes all messages of a queue, claimed ones too.
func (b *Broker) Purge(ctx context.Context, queue string) error {
	if err := b.purge(ctx, workStream, "rp.w."+queue+".>"); err != nil {
		return fmt.Errorf("purge queue %s: %w", queue, err)
	}
	return nil
}

func (b *Broker) purge(ctx context.Context, stream, filter string) error {
	err := b.ask(ctx, "$JS.API.STREAM.PURGE."+stream, map[string]any{"filter": filter})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// consumerName is that of the consumer of a lane. The lane is after the last underscore.
func consumerName(queue string, lane tasks.Lane) string {
	return "c_" + queue + "_" + strconv.Itoa(int(lane))
}

// ensureLane makes the consumer of a lane, where it is not known to be there.
func (b *Broker) ensureLane(ctx context.Context, queue string, lane tasks.Lane) error {
	name := consumerName(queue, lane)
	b.mu.Lock()
	there := b.lanes[name]
	b.mu.Unlock()
	if there {
		return nil
	}
	if err := tasks.CheckName("a queue", queue); err != nil {
		return err
	}
	config := jetstream.ConsumerConfig{
		Durable: name, FilterSubject: "rp.w." + queue + "." + strconv.Itoa(int(lane)) + ".>",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: b.ackWait, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: 1 << 16,
	}
	_, err := b.js.CreateOrUpdateConsumer(ctx, workStream, config)
	if err != nil {
		return fmt.Errorf("consumer %s: %w", name, err)
	}
	b.mu.Lock()
	b.lanes[name] = true
	b.mu.Unlock()
	return nil
}

func (b *Broker) forgetLane(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.lanes, name)
}
