//go:build unix

package rpool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
)

// settings are what every process of one launched environment shares.
type settings struct {
	bin   string // R
	env   *Environment
	home  *home
	grace time.Duration
	start time.Duration // limit on coming up
	limit int64         // bytes of one payload
	emit  func(pid int, line string)
	log   *slog.Logger
	about string // of the handler; set before the first worker starts
	exits bool   // the handler wants to hear of a worker's end; likewise

	tasks sync.WaitGroup // goroutines that follow processes; Close waits for them
}

func newSettings(bin string, env *Environment, o *Options, h *home) *settings {
	s := &settings{bin: bin, env: env, home: h, grace: o.Grace, start: o.StartTimeout, limit: o.MaxFrame, emit: o.Output, log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.grace <= 0 {
		s.grace = 5 * time.Second
	}
	if s.start <= 0 {
		s.start = time.Minute
	}
	if s.limit <= 0 || s.limit > maxFrame {
		s.limit = maxFrame
	}
	return s
}

// lines hands a process's lines to Options.Output. The pid is read when a line
// comes: that of a fork is not known before its hello.
func (s *settings) lines(pid func() int) func(string) {
	if s.emit == nil {
		return nil
	}
	return func(line string) { s.emit(pid(), line) }
}

// startR starts R as the leader of a new group and waits for its hello; it has
// loaded nothing yet. Its stdout and stderr are one pipe. Where it stays, its files
// do when it has gone.
func (s *settings) startR(ctx context.Context, name string, stays bool) (_ *worker, err error) {
	dir, link, err := s.home.room(name, s.limit)
	if err != nil {
		return nil, err
	}
	undo := []func(){link.close, func() { os.RemoveAll(dir) }}
	defer func() {
		if err != nil {
			for _, f := range undo {
				f()
			}
		}
	}()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	nonce := newNonce()
	cmd := s.command(dir, nonce, w)
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, &StartError{Step: "start R", What: s.bin, Err: err}
	}
	pid := cmd.Process.Pid
	cmd.Process.Release() // the group's reaper waits for it
	g, err := newGroup(pid)
	if err != nil {
		r.Close()
		return nil, err
	}
	out, err := newOutput(r, s.lines(func() int { return pid }))
	if err != nil {
		g.kill()
		<-g.gone
		r.Close()
		return nil, err
	}
	undo = nil // follow sees to it from here
	p := s.newWorker(pid, dir, link, out, g, stays)
	if err := applyLimits(pid, s.env.Limits); err != nil {
		g.kill()
		<-p.exited
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.start, errNotReady)
	defer cancel()
	_, tempdir, err := awaitHello(ctx, link, nonce, nil, p.exited)
	if err == nil {
		err = link.settle()
	}
	if err != nil {
		g.kill()
		<-p.exited
		if errors.Is(err, errNotReady) {
			err = fmt.Errorf("no sign of life within %v", s.start)
		}
		return nil, &StartError{
			Step: "hello", Err: p.insteadOf(err), Stderr: p.out.lastLines(),
			Hint: "R ended or hung before it was ready; a profile (.Rprofile, R_PROFILE, Rprofile.site) that quits or waits does this: try  Rscript -e 1",
		}
	}
	p.tempdir = tempdir
	return p, nil
}

// command is R as it runs boot.R.
func (s *settings) command(dir, nonce string, out *os.File) *exec.Cmd {
	args := limitedCommand([]string{
		s.bin, "-s", "--no-restore", "--no-save", "--no-readline", "-f", s.home.dir + "/boot.R",
	}, s.env.Limits)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = s.env.Dir
	cmd.Env = append(os.Environ(), s.home.vars...)
	cmd.Env = append(cmd.Env, surroundings(cmd.Env)...)
	cmd.Env = append(cmd.Env, s.env.Env...)
	cmd.Env = append(cmd.Env, "TMPDIR="+dir+"/tmp", "RPIPE_BOOT="+s.home.dir, "RPIPE_DIR="+dir, "RPIPE_NONCE="+nonce)
	if s.env.Dir != "" {
		cmd.Env = append(cmd.Env, "RPIPE_WD="+s.env.Dir)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.home.cred}
	return cmd
}

func (s *settings) newWorker(pid int, dir string, l *link, out *output, g *group, stays bool) *worker {
	w := &worker{
		pid: pid, dir: dir, link: l, out: out, group: g, exit: g.watch(pid),
		grace: s.grace, exited: make(chan struct{}), cleared: make(chan struct{}),
		other: s.home.cred != nil, stays: stays,
	}
	s.tasks.Go(w.follow)
	return w
}

// insteadOf is the worker's death where that is why err came about.
func (w *worker) insteadOf(err error) error {
	if !brokenPipe(err) && !errors.Is(err, errEnded) && !errors.Is(err, os.ErrClosed) || w.death == nil {
		return err
	}
	d := *w.death
	d.Stderr = "" // stands in the StartError
	return &d
}

var errEnded = errors.New("the R process has ended")

// whileOpen is ctx, ended with errEnded when c is closed. Cancel waits for the
// goroutine behind it.
func whileOpen(ctx context.Context, c <-chan struct{}) (_ context.Context, cancel func()) {
	ctx, end := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-c:
			end(errEnded)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		end(nil)
		wg.Wait()
	}
}

// awaitHello reads a new process's link until its hello. Told, if not nil, is
// called with the pid that a fork's parent tells. A condition that comes instead
// is returned as a *ConditionError; the end of exited as errEnded.
func awaitHello(ctx context.Context, l *link, nonce string, told func(pid int), exited <-chan struct{}) (pid int, tempdir string, err error) {
	ctx, cancel := whileOpen(ctx, exited)
	defer cancel()
	release := l.until(ctx)
	defer release()
	for {
		h, payload, err := l.read()
		if err != nil {
			cause := context.Cause(ctx)
			if cause == errEnded && errors.Is(err, os.ErrDeadlineExceeded) {
				l.end() // it may have said why; then comes the end of file
				continue
			}
			return 0, "", cmp.Or(cause, err)
		}
		switch h.kind {
		case frameHello:
			pid, said, tempdir, err := decodeHello(payload)
			if err == nil && said != nonce {
				err = errors.New("somebody else answered on its FIFO")
			}
			return pid, tempdir, err
		case framePid:
			pid, err := decodePid(payload)
			if err != nil {
				return 0, "", err
			}
			if told != nil {
				told(pid)
			}
		case frameCondition:
			c, err := decodeCondition(payload)
			if err != nil {
				return 0, "", err
			}
			return 0, "", c
		default:
			return 0, "", errReply
		}
	}
}

// load has R load the environment. Ask names packages whose versions are wanted.
func (s *settings) load(ctx context.Context, p *worker, ask []string) (*loaded, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.start, errNotReady)
	defer cancel()
	var e rdata.Encoder
	h, payload, err := p.ask(ctx, frameLoad, encodeLoad(&e, s.env, s.limit, ask))
	if err != nil {
		return nil, &StartError{Step: "load", Err: s.lateOr(p, err), Stderr: p.out.lastLines()}
	}
	if h.kind == frameCondition {
		c, err := decodeCondition(payload)
		if err != nil {
			return nil, err
		}
		return nil, s.loadError(p, c)
	}
	return decodeLoaded(payload)
}

func (s *settings) lateOr(p *worker, err error) error {
	var d *DiedError
	switch {
	case errors.Is(err, errNotReady):
		return fmt.Errorf("not done after %v", s.start)
	case errors.As(err, &d):
		return p.insteadOf(errEnded)
	}
	return err
}

// loadError is what a condition during load says to a user. Its traceback holds
// the step and what it was about.
func (s *settings) loadError(p *worker, c *ConditionError) error {
	e := &StartError{Step: "load", Err: errors.New(c.Message), Stderr: p.out.lastLines()}
	if len(c.Traceback) == 2 {
		e.Step, e.What = c.Traceback[0], c.Traceback[1]
	}
	for _, class := range c.Classes {
		if class == "packageNotFoundError" {
			e.Hint = fmt.Sprintf("install it in R: install.packages(%q)", e.What)
			e.Err = errors.New("it is not installed")
		}
	}
	return e
}
