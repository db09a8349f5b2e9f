package main

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
)

// progressLine shows a run while it goes on, on stderr: live on a terminal, a
// line every few seconds elsewhere, or not at all. Log lines go through it, so
// that they do not tear the live view.
type progressLine struct {
	log  *slog.Logger
	live *view.Live // nil: plain, or none
	none bool
	json bool // progress is lines of the log

	mu   sync.Mutex // guards stderr
	quit chan struct{}
	done sync.WaitGroup
}

func newProgress(mode string, l *logFlags) (*progressLine, error) {
	c, err := l.over(logs.Config{})
	if err != nil {
		return nil, err
	}
	p := &progressLine{quit: make(chan struct{}), json: c.Format == "json"}
	switch mode {
	case "auto":
		if !p.json && term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb" {
			p.live = view.NewLive(os.Stderr, terminalSize)
		}
	case "plain":
	case "none":
		p.none = true
	default:
		return nil, fmt.Errorf("--progress is auto, plain or none, not %q", mode)
	}
	p.log = c.Brief(logWriter{p}, p.brief)
	return p, nil
}

// brief leaves the time out of log lines on a terminal, where it is now.
func (p *progressLine) brief(groups []string, a slog.Attr) slog.Attr {
	if p.live != nil && len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func terminalSize() (width, height int) {
	w, h, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || w <= 0 {
		return 80, 24
	}
	return w, h
}

// start shows r until stop.
func (p *progressLine) start(r *pipeline.Run) {
	if p.none {
		return
	}
	every := plainInterval
	if p.live != nil {
		every = liveInterval
	}
	p.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.draw(r.Snapshot())
			case <-p.quit:
				return
			}
		}
	})
}

func (p *progressLine) stop() {
	close(p.quit)
	p.done.Wait()
	if p.live != nil {
		p.live.Clear()
	}
}

func (p *progressLine) draw(s pipeline.Snapshot) {
	if p.json {
		p.log.Info(view.PlainLine(s), logs.Run, s.Run)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live != nil {
		p.live.Draw(s)
		return
	}
	fmt.Fprintln(os.Stderr, view.PlainLine(s))
}

// logWriter prints log lines above the live view.
type logWriter struct{ p *progressLine }

func (w logWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.p.live != nil {
		w.p.live.Clear()
	}
	return os.Stderr.Write(b)
}
