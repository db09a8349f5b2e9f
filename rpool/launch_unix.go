//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
)

// launch brings up an environment with real R processes. It is a launcher.
func launch(ctx context.Context, env *Environment, o *Options) (template, error) {
	t, _, err := launchAsking(ctx, env, o, nil)
	return t, err
}

// launchAsking is launch, and asks R for the versions of packages.
func launchAsking(ctx context.Context, env *Environment, o *Options, ask []string) (template, *loaded, error) {
	if err := env.check(); err != nil {
		return nil, nil, err
	}
	bin, _, err := FindR(env.R)
	if err != nil {
		return nil, nil, err
	}
	if err := becomeSubreaper(); err != nil {
		return nil, nil, fmt.Errorf("rpool: become the parent of forked workers: %w", err)
	}
	memoryKills.begin()
	h, err := newHome(env.User)
	if err != nil {
		return nil, nil, &StartError{Step: "prepare", Err: err}
	}
	s := newSettings(bin, env, o, h)
	start := env.Start
	if start == "" {
		start = StartAuto
	}
	why := "start: spawn"
	if start == StartAuto && runtime.GOOS == "darwin" {
		start, why = StartSpawn, "forked R processes are not dependable on macOS"
	}
	if start != StartSpawn {
		t, l, err := s.launchForker(ctx, ask)
		if err != nil {
			h.remove()
			return nil, nil, err
		}
		var reason error
		if start == StartAuto {
			reason = t.canary(ctx, l)
		}
		if reason == nil {
			if err := t.launched(ctx); err != nil {
				t.Close()
				return nil, nil, err
			}
			return t, l, nil
		}
		if ctx.Err() != nil {
			t.Close()
			return nil, nil, context.Cause(ctx)
		}
		t.clear()
		why = reason.Error()
		if o.Log != nil {
			o.Log.Warn("R workers are started afresh instead of forked: this environment does not survive a fork", "reason", why)
		}
	}
	t := newSpawner(s, why)
	w, l, err := t.spawn(ctx, ask)
	if err != nil {
		t.Close()
		return nil, nil, err
	}
	t.ready, s.about, s.exits = w, l.about, l.exits
	return t, l, nil
}

func (s *settings) launchForker(ctx context.Context, ask []string) (*forker, *loaded, error) {
	p, err := s.startR(ctx, "template", true)
	if err != nil {
		return nil, nil, err
	}
	l, err := s.load(ctx, p, ask)
	if err != nil {
		p.group.kill()
		<-p.exited
		<-p.group.gone
		s.tasks.Wait()
		return nil, nil, err
	}
	s.about, s.exits = l.about, l.exits
	return newForker(s, p), l, nil
}

// canary forks a worker and has it do something, to see whether forks of this
// environment work: threads, a JVM or a server that was started while loading do
// not live on in a fork, which then hangs or dies.
func (t *forker) canary(ctx context.Context, l *loaded) error {
	if len(l.unsafe) > 0 {
		return fmt.Errorf("package %s is loaded, whose state does not survive a fork", l.unsafe[0])
	}
	wait := t.env.CanaryWait
	if wait <= 0 {
		wait = 5 * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("a forked canary did not answer within %v", wait))
	defer cancel()
	w, err := t.fork(ctx)
	if err != nil {
		return causeOr(ctx, err)
	}
	defer w.kill()
	code := t.env.Canary
	if code == "" {
		code = DefaultCanary
	}
	var e rdata.Encoder
	h, payload, err := w.ask(ctx, frameTry, encodeTry(&e, code))
	if err == nil && h.kind == frameCondition {
		if c, err := decodeCondition(payload); err == nil {
			return fmt.Errorf("the canary failed: %w", c)
		}
	}
	if err != nil {
		return causeOr(ctx, err)
	}
	return nil
}

func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var s *StartError
	if errors.As(err, &s) && s.Err != nil {
		return s.Err
	}
	return err
}
