// Package index is the read model of the task queue: an SQLite file with a row for each
// task and job, by which they are listed, filtered, searched, counted and paged in
// milliseconds, also where there are a million of them. The queue and the server ask it;
// what is decided is decided on the records, since the index is a moment behind them
// (Sync waits for it).
//
// It is fed from the stream of records, with the stream's sequence number in the same
// transaction, so it is exact wherever it was cut off. It holds nothing that the stream
// does not: a file that is lost, damaged, of another version or of another stream is made
// anew, in seconds for a million tasks. It can be read meanwhile; Status says how far it is.
//
// Tasks stand in the file in the order of submission, and all that they are filtered by
// is kept as sets of their places in it: see set. So a filter is an intersection of
// bitmaps, whatever it combines, and a count is a count of bits.
package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Source is what the index is fed from: a broker.
type Source interface {
	// Feed calls f with every change after sequence number from, in order, until f fails
	// or ctx ends; and with none when there is nothing more for the first time.
	Feed(ctx context.Context, from uint64, f func([]broker.Record) error) error
	// Range calls f with the records that there are under a filter of subjects.
	Range(ctx context.Context, filter string, f func(broker.Record) error) error
	LastSeq(ctx context.Context) (uint64, error)
	// Epoch tells the stream from another one.
	Epoch(ctx context.Context) (string, error)
}

// Index is safe for concurrent use.
type Index struct {
	path string

	mu    sync.RWMutex // held for reading by who uses file, for writing by who replaces it
	file  *file
	ended bool

	unsound chan error    // a reader has found damage; one is enough
	hurry   chan struct{} // somebody has come into Sync
	subs    subscribers

	now struct {
		sync.Mutex
		Status
		waiting map[chan struct{}]uint64 // who waits, for which number
	}
}

// ErrClosed says that the index is closed.
var ErrClosed = errors.New("index: closed")

// Open opens the file, or makes it. One that is damaged or of another version is dropped.
func Open(path string) (*Index, error) {
	f, _, err := openFile(path)
	if err != nil {
		return nil, err
	}
	x := &Index{path: path, file: f, unsound: make(chan error, 1), hurry: make(chan struct{}, 1)}
	x.now.Path = path
	x.now.waiting = map[chan struct{}]uint64{}
	return x, nil
}

// Close waits for readers. Run must have ended.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return nil
	}
	x.ended = true
	x.subs.close()
	if err := x.file.close(); err != nil {
		return fmt.Errorf("index: close: %w", err)
	}
	return nil
}

// Status is how far the index is.
type Status struct {
	Path       string    `json:"path"`
	Seq        uint64    `json:"seq"`               // of the last change that can be read
	Last       uint64    `json:"last"`              // of the last change that is known of
	Rebuilding bool      `json:"rebuilding"`        // it is made anew: what is not read yet is missing from all answers
	Since      time.Time `json:"since,omitzero"`    // of that
	Why        string    `json:"why,omitempty"`     // of that
	Damaged    int64     `json:"damaged,omitempty"` // records that could not be read, since Run began
}

// Status reports how far the index is.
func (x *Index) Status() Status {
	x.now.Lock()
	defer x.now.Unlock()
	return x.now.Status
}

// Sync waits until the change with this sequence number can be read.
func (x *Index) Sync(ctx context.Context, seq uint64) error {
	x.now.Lock()
	if x.now.Seq >= seq {
		x.now.Unlock()
		return nil
	}
	done := make(chan struct{})
	x.now.waiting[done] = seq
	x.now.Unlock()
	select {
	case x.hurry <- struct{}{}:
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		x.now.Lock()
		delete(x.now.waiting, done)
		x.now.Unlock()
		return fmt.Errorf("index: wait for change %d: %w", seq, context.Cause(ctx))
	}
}

// awaited reports whether somebody is in Sync.
func (x *Index) awaited() bool {
	x.now.Lock()
	defer x.now.Unlock()
	return len(x.now.waiting) > 0
}

// reached says that seq can be read.
func (x *Index) reached(seq uint64, damaged int64) {
	x.now.Lock()
	defer x.now.Unlock()
	x.now.Seq, x.now.Damaged = seq, damaged
	for done, want := range x.now.waiting {
		if want <= seq {
			close(done)
			delete(x.now.waiting, done)
		}
	}
}

// read calls f in a transaction: f sees one state of the file.
func (x *Index) read(ctx context.Context, f func(*reader) error) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.ended {
		return ErrClosed
	}
	tx, err := x.file.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err == nil {
		err = f(&reader{ctx: ctx, tx: tx, file: x.file})
		_ = tx.Rollback() // nothing was written
	}
	if err == nil {
		return nil
	}
	if damaged(err) {
		select {
		case x.unsound <- err:
		default:
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("index: %w", err)
}

// replace drops the file and makes a new one.
func (x *Index) replace(why string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.file.drop(); err != nil {
		return err
	}
	f, _, err := openFresh(x.path)
	if err != nil {
		x.ended = true
		return err
	}
	x.file = f
	select {
	case <-x.unsound:
	default:
	}
	x.now.Lock()
	defer x.now.Unlock()
	x.now.Seq = 0
	x.rebuilding(why)
	return nil
}

// rebuilding says that the file is made anew; now is locked.
func (x *Index) rebuilding(why string) {
	if !x.now.Rebuilding {
		x.now.Rebuilding, x.now.Since, x.now.Why = true, time.Now(), why
	}
}
