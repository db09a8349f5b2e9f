package rpool

import (
	"context"
	"time"
)

// This file is the seam inside the package: below it are processes (template,
// fork, wire, signals, death), above it is the pool (leases, queue, scaling).

// process is one R worker. It takes one request at a time.
type process interface {
	// Do runs one request. It returns a *ConditionError, *TimeoutError,
	// *DiedError or the context's cause. When ctx ends or the timeout passes it
	// goes down the ladder (SIGINT, grace, SIGTERM, grace, SIGKILL) and returns
	// only when the worker is ready again (it answered a ping) or is dead.
	Do(ctx context.Context, r *Request) (*Reply, error)
	// Interrupt sends SIGINT to the request under way, and no later one; it
	// reports whether there was one.
	Interrupt() bool
	Pid() int
	// Exited is closed once the process has been reaped; Death then says how.
	Exited() <-chan struct{}
	Death() *DiedError
	// RSS is the resident set in bytes now; 0 when it is gone.
	RSS() int64
	// CPU is the processor time that it has taken so far, with children that have ended; 0 when it is gone.
	CPU() time.Duration
	// Nice sets the scheduling priority: 0, 10 or 19. Raising it back may be refused without privileges.
	Nice(n int) error
	// Stop ends an idle worker: EOF on its FIFO, then the ladder. It returns when it is reaped.
	Stop()
	// kill ends the process at once, whatever it does, and returns when it is reaped.
	kill()
}

// template is one loaded environment from which workers come.
type template interface {
	// Start makes one worker, by fork or by a fresh R, and returns once it has said hello.
	Start(ctx context.Context) (process, error)
	// Forks reports whether workers are forked (false: spawned), and why not.
	Forks() (bool, string)
	// About is what the environment's Handler says of itself; "" for none.
	About() string
	// Exited is closed when the template process is gone (its workers may live on).
	Exited() <-chan struct{}
	Pid() int
	// Close kills the template and all that remains of its process group, and removes its directory.
	Close()
}

// launcher brings up an environment. The pool calls it once for each
// fingerprint in use; tests put a fake in its place.
type launcher func(ctx context.Context, env *Environment, o *Options) (template, error)
