//go:build unix

package rpool

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// launched gives the template its standby and watches over both from then on.
// Without a standby the template would do, but not where it has died of the fork.
func (t *forker) launched(ctx context.Context) error {
	p, _ := t.both()
	if err := t.stand(ctx, p); err != nil {
		if isClosed(p.exited) || ctx.Err() != nil {
			return err
		}
		t.alone(p, err)
	}
	t.tasks.Go(t.keep)
	return nil
}

// stand forks a standby from p. It is called in turn, or before there are turns.
func (t *forker) stand(ctx context.Context, p *worker) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.start, errNotReady)
	defer cancel()
	t.copies++
	w, err := t.born(ctx, order{from: p, name: "s" + strconv.Itoa(t.copies)})
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.standby = w
	t.mu.Unlock()
	return nil
}

// lead is the template, or, where that has died, the standby, which has a standby
// of its own before it does anything else; nil where there is none. It is called in
// turn.
func (t *forker) lead() *worker {
	for {
		p, s := t.both()
		switch {
		case !isClosed(p.exited):
			return p
		case s == nil || isClosed(s.exited):
			return nil
		}
		t.mu.Lock()
		t.proc, t.standby = s, nil
		t.mu.Unlock()
		t.log.Warn("R template ended unexpectedly; its standby has taken its place", "pid", p.pid, "standby", s.pid, "error", p.death)
		if err := t.stand(t.ctx, s); err != nil && t.ctx.Err() == nil && !isClosed(s.exited) {
			t.alone(s, err)
		}
	}
}

// alone says that p has no standby, once for each template.
func (t *forker) alone(p *worker, err error) {
	if p.alone {
		return
	}
	p.alone = true
	t.log.Warn("R template has no standby: where it dies it is loaded again", "pid", p.pid, "error", err)
}

// keep puts the standby in the place of a template that dies, and another behind
// it, until neither is left or the forker is closed.
func (t *forker) keep() {
	defer close(t.over)
	again := backoff{base: crashBackoff, limit: launchBackoffMax}
	for {
		p, s := t.both()
		if s == nil || isClosed(s.exited) {
			if !t.pause(again.fail(), p) {
				return
			}
		} else {
			up := time.Now()
			select {
			case <-t.ctx.Done():
				return
			case <-p.exited:
			case <-s.exited:
			}
			if time.Since(up) > crashBackoffMax {
				again.succeed()
			}
		}
		if !t.look() {
			return
		}
	}
}

// pause waits for d, or the end of p, and reports whether there is anything left
// to do.
func (t *forker) pause(d time.Duration, p *worker) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.exited:
	case <-t.ctx.Done():
		return false
	}
	return true
}

// look brings template and standby in order, and reports whether there is one.
func (t *forker) look() bool {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-t.ctx.Done():
		return false
	}
	p := t.lead()
	if p == nil {
		return false
	}
	_, s := t.both()
	if s != nil && !isClosed(s.exited) {
		return true
	}
	if s != nil {
		t.log.Warn("R standby ended unexpectedly; another takes its place", "pid", s.pid, "error", s.death)
	}
	if err := t.stand(t.ctx, p); err != nil && t.ctx.Err() == nil {
		if isClosed(p.exited) {
			return t.lead() != nil
		}
		t.mu.Lock()
		t.standby = nil
		t.mu.Unlock()
		t.alone(p, fmt.Errorf("fork a standby: %w", err))
	}
	return true
}
