package rpool

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// Options are the limits of one pool. The zero value is usable.
type Options struct {
	Min      int // workers kept up for each environment once it is in use, see also Environment.Min; default 0
	Max      int // workers over all environments; 0 is the number of cores
	MinSpare int // idle workers kept ready beyond those busy; default 0
	Reserve  int // workers that only Interactive may take, below Max; default 0

	IdleTimeout   time.Duration // an idle worker above Min ends after it; 0 is 5m
	TemplateIdle  time.Duration // a template without workers or requests ends after it; 0 is 15m
	CheckInterval time.Duration // how often sizes and ages are looked at; 0 is 10s. Memory is polled every second, or as often if that is shorter

	// MaxRequests and MaxLifetime are when a worker is replaced, its replacement first;
	// 0 is never. Each worker has its own, at most a tenth more or less, so that those
	// forked together do not end together. Below 10 MaxRequests is exact.
	MaxRequests int
	MaxLifetime time.Duration

	// MaxMemory is the resident bytes that one worker may have; 0 is no limit. An
	// idle worker over it is replaced; a busy one is stopped and its request ends
	// with a *DiedError whose OutOfMemory is true. Pages that a forked worker
	// shares with its template count as its own.
	MaxMemory int64
	// MaxTotalMemory is the resident bytes of all workers together beyond which
	// none is started and idle ones end; 0 is no limit. One worker may always be
	// up. Pages shared with a template count once for each worker.
	MaxTotalMemory int64

	QueueLength int           // requests of one priority that may wait; 0 is 1024
	QueueWait   time.Duration // how long one may wait; 0 is for ever

	Grace        time.Duration // between SIGINT, SIGTERM and SIGKILL; 0 is 5s
	StartTimeout time.Duration // for a template to load or a worker to say hello; 0 is 60s
	MaxFrame     int64         // bytes of one message either way; 0 is 2 GiB

	Log *slog.Logger // nil discards
	// Output, if set, receives each line that R wrote to stdout or stderr
	// outside a request's captured output.
	Output func(pid int, line string)
}

// complete fills in the defaults and refuses what cannot work.
func (o Options) complete() (Options, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"min", int64(o.Min)}, {"max", int64(o.Max)}, {"min_spare", int64(o.MinSpare)}, {"reserve", int64(o.Reserve)},
		{"idle_timeout", int64(o.IdleTimeout)}, {"template_idle", int64(o.TemplateIdle)},
		{"check_interval", int64(o.CheckInterval)}, {"max_requests", int64(o.MaxRequests)},
		{"max_lifetime", int64(o.MaxLifetime)}, {"max_memory", o.MaxMemory}, {"max_total_memory", o.MaxTotalMemory},
		{"queue_length", int64(o.QueueLength)}, {"queue_wait", int64(o.QueueWait)},
		{"grace", int64(o.Grace)}, {"start_timeout", int64(o.StartTimeout)}, {"max_frame", o.MaxFrame},
	} {
		if f.value < 0 {
			return o, fmt.Errorf("rpool: %s is negative", f.name)
		}
	}
	orElse(&o.Max, runtime.NumCPU())
	orElse(&o.IdleTimeout, 5*time.Minute)
	orElse(&o.TemplateIdle, 15*time.Minute)
	orElse(&o.CheckInterval, 10*time.Second)
	orElse(&o.QueueLength, 1024)
	orElse(&o.Grace, 5*time.Second)
	orElse(&o.StartTimeout, time.Minute)
	orElse(&o.MaxFrame, 2<<30)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Min > o.Max:
		return o, fmt.Errorf("rpool: min %d is above max %d", o.Min, o.Max)
	case o.Reserve >= o.Max:
		return o, fmt.Errorf("rpool: reserve %d of max %d leaves no worker for other requests than interactive ones; raise max or lower reserve", o.Reserve, o.Max)
	}
	return o, nil
}

func orElse[T int | int64 | time.Duration](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}
