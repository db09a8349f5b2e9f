package rpool

import "context"

// Pool PENDING
type Pool struct{}

// Lease PENDING
type Lease struct{}

// New PENDING
func New(o Options) (*Pool, error) { panic("pending") }

// Acquire waits for a worker of env. Leases are exclusive.
func (p *Pool) Acquire(ctx context.Context, env *Environment, pri Priority) (*Lease, error) {
	panic("pending")
}

// Do acquires, runs one request, and releases.
func (p *Pool) Do(ctx context.Context, env *Environment, pri Priority, r *Request) (*Reply, error) {
	panic("pending")
}

// Close stops every worker and template; it returns when none is left.
func (p *Pool) Close() error { panic("pending") }

// Do runs one request on the leased worker.
func (l *Lease) Do(ctx context.Context, r *Request) (*Reply, error) { panic("pending") }

// Release gives the worker back.
func (l *Lease) Release() { panic("pending") }
