package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/store"
)

// lease is the ownership of a prefix on S3: an object that its owner writes anew
// from time to time, and never but in place of what it wrote last. Who finds that
// the object is older than the lease's time, by the clock of the server, may
// write its own in its place; the owner before sees that at its next try.
type lease struct {
	client *store.Client
	at     store.Location
	ttl    time.Duration
	strict bool // the server honours conditions
	log    *slog.Logger

	mu   sync.Mutex
	me   owner
	etag string
	lost error // ErrFenced, once it is lost
	done bool  // let go of

	stop   context.CancelFunc
	ticker chan struct{} // closed when the goroutine that renews has ended
}

// leaseLimit is how large the object may be: a hundred times what we write.
const leaseLimit = 1 << 20

// take becomes the owner, or returns an error with ErrLocked in its chain.
func (l *lease) take(ctx context.Context, me owner) (before owner, err error) {
	l.me = me
	for range 5 {
		before, err = l.try(ctx)
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotExist) {
			break // else it changed while we looked
		}
	}
	if errors.Is(err, store.ErrConflict) {
		return owner{}, ErrLocked
	}
	if err != nil {
		return owner{}, err
	}
	ctx, l.stop = context.WithCancel(context.Background())
	l.ticker = make(chan struct{})
	go func() {
		defer close(l.ticker)
		l.keep(ctx)
	}()
	return before, nil
}

func (l *lease) try(ctx context.Context) (before owner, err error) {
	data, o, err := l.client.Get(ctx, l.at, leaseLimit)
	switch {
	case errors.Is(err, store.ErrNotExist):
		return owner{}, l.write(ctx, l.me, store.Condition{IfNoneMatch: true})
	case err != nil:
		return owner{}, err
	}
	_ = json.Unmarshal(data, &before) // what is not ours has no pid, and its age counts
	if !before.Released && !before.dead() {
		now, err := l.now(ctx)
		if err != nil {
			return owner{}, err
		}
		// Both times are cut to seconds.
		if age := now.Sub(o.Modified); age < l.ttl+time.Second {
			return owner{}, l.busy(before, age)
		}
	}
	l.me.Unclean = before.runs()
	return before, l.write(ctx, l.me, store.Condition{IfMatch: o.ETag})
}

func (l *lease) busy(other owner, age time.Duration) error {
	err := busy(other, l.me)
	if errors.Is(err, errTwice) {
		return err
	}
	return fmt.Errorf("%w; it last gave a sign of life %v ago, and counts as dead after %v (lease in the s3 block)", err, max(age, 0), l.ttl)
}

// now is the clock of the server: the time of an object written at this moment.
func (l *lease) now(ctx context.Context) (time.Time, error) {
	at := l.clocks()
	at.Key += l.me.Session
	if _, err := l.client.Put(ctx, at, []byte(l.me.Session), store.Condition{}); err != nil {
		return time.Time{}, err
	}
	o, err := l.client.Stat(ctx, at)
	return o.Modified, errors.Join(err, l.client.Delete(ctx, at))
}

// clocks is how the keys of such objects begin.
func (l *lease) clocks() store.Location {
	at := l.at
	at.Key += ".clock-"
	return at
}

// write writes the object, under a condition where the server honours such.
func (l *lease) write(ctx context.Context, o owner, when store.Condition) error {
	if !l.strict {
		when = store.Condition{}
	}
	o.Renewed = time.Now().UTC()
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	etag, err := l.client.Put(ctx, l.at, append(data, '\n'), when)
	if err == nil {
		l.etag = etag
	}
	return err
}

// keep renews until ctx ends. What fails is tried again; whether the lease is
// still ours is asked, by renew, before each step that counts.
func (l *lease) keep(ctx context.Context) {
	t := time.NewTicker(l.ttl / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		once, cancel := context.WithTimeout(ctx, l.ttl/3)
		err := l.renew(once)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrFenced):
			l.log.Error("another process has taken the output over; nothing more of this one becomes visible", "path", l.at.String(), "error", err)
			return
		case err != nil:
			l.log.Warn("could not renew the ownership of the output", "path", l.at.String(), "lease", l.ttl, "error", err)
		}
	}
}

// renew makes sure that the lease is ours, for as long as it lasts.
func (l *lease) renew(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.lost != nil:
		return l.lost
	case l.done:
		return fmt.Errorf("%w: the writer has let go of it", ErrFenced)
	}
	return l.replace(ctx, l.me)
}

// replace writes o in the place of what this owner wrote last.
func (l *lease) replace(ctx context.Context, o owner) error {
	if !l.strict {
		if err := l.compare(ctx); err != nil {
			return err
		}
		return l.write(ctx, o, store.Condition{})
	}
	err := l.write(ctx, o, store.Condition{IfMatch: l.etag})
	if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotExist) {
		return err
	}
	// An earlier write of ours may have been carried out after we gave it up.
	if err := l.compare(ctx); err != nil {
		return err
	}
	return l.write(ctx, o, store.Condition{IfMatch: l.etag})
}

// compare reads whose the object is, and takes over its ETag where it is ours.
func (l *lease) compare(ctx context.Context) error {
	data, o, err := l.client.Get(ctx, l.at, leaseLimit)
	if errors.Is(err, store.ErrNotExist) {
		l.lost = fmt.Errorf("%w: %s is gone", ErrFenced, l.at)
		return l.lost
	}
	if err != nil {
		return err
	}
	var other owner
	_ = json.Unmarshal(data, &other)
	if other.Session != l.me.Session {
		l.lost = fmt.Errorf("%w: run %s, pid %d on %s, since %s", ErrFenced, other.Run, other.Pid, other.Host, other.Since.Format(time.RFC3339))
		return l.lost
	}
	l.etag = o.ETag
	return nil
}

// end stops to renew.
func (l *lease) end() {
	if l.stop != nil {
		l.stop()
		<-l.ticker
	}
}

// release lets go. With left the object stays and says so; else it goes.
func (l *lease) release(ctx context.Context, left *owner) error {
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done || l.lost != nil || l.etag == "" {
		return nil
	}
	gone := l.me
	if left != nil {
		gone = *left
	}
	gone.Released = true
	err := l.replace(ctx, gone) // so that nothing of another is removed
	l.done = true
	if errors.Is(err, ErrFenced) {
		return nil
	}
	if err == nil && left == nil {
		err = l.client.Delete(ctx, l.at)
	}
	return err
}
