package rpool

import (
	"log/slog"
	"time"
)

// Options are the limits of one pool. The zero value is usable.
type Options struct {
	Min      int // workers kept up for an environment once it is in use; default 0
	Max      int // workers over all environments; 0 is the number of cores
	MinSpare int // idle workers kept ready beyond those busy; default 0
	Reserve  int // workers that Bulk may not take; default 0

	IdleTimeout   time.Duration // an idle worker above Min ends after it; 0 is 5m
	TemplateIdle  time.Duration // a template without workers or requests ends after it; 0 is 15m
	CheckInterval time.Duration // how often sizes, ages and memory are looked at; 0 is 10s
	MaxRequests   int           // a worker is replaced after so many; 0 is never
	MaxLifetime   time.Duration // a worker is replaced after it; 0 is never
	MaxMemory     int64         // resident bytes a worker may have; 0 is no limit

	QueueLength int           // requests that may wait; 0 is 1024
	QueueWait   time.Duration // how long one may wait; 0 is for ever

	Grace        time.Duration // between SIGINT, SIGTERM and SIGKILL; 0 is 5s
	StartTimeout time.Duration // for a template to load or a worker to say hello; 0 is 60s
	MaxFrame     int64         // bytes of one message either way; 0 is 2 GiB

	Log *slog.Logger // nil discards
	// Output, if set, receives each line that R wrote to stdout or stderr
	// outside a request's captured output.
	Output func(pid int, line string)
}
