package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
)

// service is something that runs until it is told to end.
type service interface {
	Wait() error          // until it has ended; nil after a drain
	DrainLater()          // finish what is under way, then end
	Stop(cause error)     // end at once
	Grace() time.Duration // how long a drain may take
	Close()               // end what is left
}

// serviceOptions are what differs between services.
type serviceOptions struct {
	log   *slog.Logger
	start func(ctx context.Context) (service, error)
	up    func(service) // it has started
	// reload is what SIGHUP does: it returns at once, and calls done when it has ended.
	// Where it is nil, SIGHUP ends the service, as a terminal that was closed does.
	reload func(s service, done func())
	exit   func(err error) int
	saying string // of a drain, for the log
	cut    string // for the log, where a drain was not done within its grace; "" says nothing
}

// serve starts a service and runs it until a signal has ended it, or it ends by itself.
// What it returns is told. Schedulers of clusters send SIGUSR1 or SIGUSR2 some time
// before they kill: those are taken as SIGTERM.
func serve(ctx context.Context, o serviceOptions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	systemd, terminal := findSupervisor(), findTerminal()
	signals := make(chan os.Signal, 4)
	for _, sig := range serviceSignals {
		if sig != syscall.SIGHUP || o.reload != nil || !signal.Ignored(sig) { // nohup
			signal.Notify(signals, sig)
		}
	}
	defer signal.Stop(signals)

	started := make(chan struct{})
	var s service
	var err error
	go func() {
		defer close(started)
		s, err = o.start(ctx)
	}()
	for running := true; running; {
		select {
		case <-started:
			running = false
		case sig := <-signals:
			if sig == syscall.SIGHUP && o.reload != nil {
				continue
			}
			cancel(fmt.Errorf("stopped by %v", sig))
			<-started
			if err == nil {
				s.Close()
			}
			return exitCode(128 + int(sig.(syscall.Signal)))
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
		return exitCode(o.exit(err))
	}
	o.up(s)
	if err := systemd.tell("READY=1"); err != nil {
		o.log.Warn("systemd could not be told that the service is ready", "error", err)
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Wait() }()
	stopping := false
	var last time.Time
	var again error // the exit code of a second signal
	for {
		select {
		case err := <-failed:
			if err != nil && stopping && again == nil && o.cut != "" {
				o.log.Warn(o.cut, "grace", s.Grace().String(), "error", err)
			}
			s.Close()
			if err != nil && !stopping {
				fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
				return exitCode(pipeline.ExitFailed)
			}
			return again
		case sig := <-signals:
			hup := sig == syscall.SIGHUP
			switch {
			case hup && !stopping && o.reload != nil && !terminal.gone():
				_ = systemd.tell(reloading())
				o.reload(s, func() { _ = systemd.tell("READY=1") })
			case hup && stopping:
			case !stopping:
				stopping, last = true, time.Now()
				o.log.Info("stopping: "+o.saying+"; again to stop at once", "grace", s.Grace().String())
				_ = systemd.tell("STOPPING=1") // it sees for itself when we have
				s.DrainLater()
			case time.Since(last) > sameSignal:
				again = exitCode(128 + int(sig.(syscall.Signal)))
				s.Stop(errors.New("stopped by a second signal"))
			}
		}
	}
}
