package broker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of the broker. What wraps them says the operation and the subject.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("the record has changed in the meantime")
	ErrNoResponder = errors.New("nobody answers")
	ErrClosed      = errors.New("the task store is closed")
	ErrFull        = errors.New("the task store is full")
	ErrTooLarge    = fmt.Errorf("too large for one message, of %d MiB at most", maxPayload>>20)
)

const (
	tryTimeout = 5 * time.Second // of one request
	patience   = time.Minute     // of a call whose context has no deadline
)

// Codes of errors that nats.go has no name for.
const (
	codeWrongLast         = 10071 // the record has changed
	codeWrongLastInFlight = 10164 // another write of it is on its way
	codeStreamInUse       = 10058 // its name, by one with another configuration
	codeResources         = 10023 // of the server
	codeAccountResources  = 10002
	codeStorageExceeded   = 10047
	codeStoreFailed       = 10077
	codeTooLarge          = 10054
	codeBatchFirst        = 10174 // atomic publish: from here
	codeBatchLast         = 10179 // to here
)

func apiCode(err error) (code int, is bool) {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return int(api.ErrorCode), true
	}
	return 0, false
}

// transient reports whether the same call may succeed a little later: a server is away,
// or elects a leader. Whether it had an effect is then unknown.
func transient(err error) bool {
	for _, e := range []error{
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrStaleConnection,
		jetstream.ErrNoStreamResponse, jetstream.ErrAsyncPublishTimeout, jetstream.ErrTooManyStalledMsgs, context.DeadlineExceeded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch int(api.ErrorCode) {
		case codeWrongLastInFlight:
			return true
		case codeResources, codeAccountResources, codeStorageExceeded:
			return false
		case codeStoreFailed:
			return !strings.Contains(api.Description, "maximum")
		}
		return api.Code == 503 || api.Code == 429
	}
	return false
}

// explain says in plain words what the engine means.
func explain(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return ErrClosed
	case errors.Is(err, nats.ErrMaxPayload):
		return ErrTooLarge
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return ErrNotFound
	case errors.As(err, &api):
		switch int(api.ErrorCode) {
		case codeWrongLast, codeWrongLastInFlight:
			return ErrConflict
		case codeTooLarge:
			return ErrTooLarge
		case codeResources, codeAccountResources, codeStorageExceeded:
			return fmt.Errorf("%w: %s: delete jobs, or raise its limit", ErrFull, api.Description)
		case codeStoreFailed:
			return fmt.Errorf("%w: %s", ErrFull, api.Description)
		}
	}
	return err
}

func explainConnect(err error) error {
	if errors.Is(err, nats.ErrAuthorization) {
		return fmt.Errorf("%w: the credentials are not those of this cluster", err)
	}
	return err
}

// persist calls f until it has an answer: again where the error is transient, with
// pauses that grow from 10 ms to half a second.
func (b *Broker) persist(ctx context.Context, f func(ctx context.Context) error) error {
	return b.persistFor(ctx, tryTimeout, f)
}

// persistFor is persist with the time of one try.
func (b *Broker) persistFor(ctx context.Context, d time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := b.patient(ctx)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		err := b.try(ctx, d, f)
		if err == nil || !transient(err) || b.over(ctx) != nil {
			return b.final(ctx, err)
		}
		if err := b.rest(ctx, pause); err != nil {
			return b.final(ctx, err)
		}
	}
}

// try calls f with a context that ends after a time, or when the connection was lost and
// is back: what was on its way then is not answered any more.
func (b *Broker) try(ctx context.Context, d time.Duration, f func(ctx context.Context) error) error {
	try, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	stop := b.whenBack(cancel)
	defer stop()
	err := f(try)
	if err != nil && errors.Is(try.Err(), context.Canceled) && ctx.Err() == nil {
		err = nats.ErrDisconnected
	}
	return err
}

// patient is a context that ends with ctx, or after patience where that has no deadline.
func (b *Broker) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}

// rest waits, unless the call is over.
func (b *Broker) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.closed:
	case <-ctx.Done():
	}
	return b.over(ctx)
}

// over is why a call cannot go on.
func (b *Broker) over(ctx context.Context) error {
	select {
	case <-b.closed:
		return ErrClosed
	default:
	}
	if err := b.Stopped(); err != nil {
		return err
	}
	return ctx.Err()
}

// Stopped is why an embedded store can store nothing until it is opened anew, or nil.
func (b *Broker) Stopped() error {
	if b.server == nil {
		return nil
	}
	return b.server.stopped()
}

// Health is nil, or why the store cannot be used now: it is closed, has stopped, or the
// servers are away.
func (b *Broker) Health() error {
	if err := b.over(context.Background()); err != nil {
		return err
	}
	if !b.nc.IsConnected() {
		return fmt.Errorf("the task store is away: %w", nats.ErrDisconnected)
	}
	return b.hasRoom()
}

// final is the error of a call that has ended with err.
func (b *Broker) final(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if over := b.over(ctx); over != nil && (transient(err) || errors.Is(over, ErrClosed)) {
		return over
	}
	return explain(err)
}

// redacted hides the passwords in a list of addresses.
func redacted(urls string) string {
	list := strings.Split(urls, ",")
	for i, s := range list {
		if u, err := url.Parse(s); err == nil && u.User != nil {
			u.User = url.User("***")
			list[i] = u.String()
		}
	}
	return strings.Join(list, ",")
}
