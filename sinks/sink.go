// Package sinks writes frames to files and elsewhere, and makes them visible
// only when they are complete. PENDING DOC
package sinks

import (
	"context"
	"time"

	"github.com/rpipe-dev/rpipe/stages"
)

// Sink is a configured output, as YAML names it under sink.
type Sink interface {
	// Open prepares for a run: it checks that the place can be written and what
	// if_exists says of what is there. It makes nothing visible.
	Open(ctx context.Context, env *stages.Env) (Writer, error)
}

// Writer takes the frames of one run. One goroutine uses it. Files come to be
// under temporary names; Publish, after Prepare, makes them visible.
type Writer interface {
	// Write adds a batch to the open parts of its epoch.
	Write(ctx context.Context, b *stages.Rows) error
	// Prepare closes the parts of an epoch and forces them to stable storage.
	Prepare(ctx context.Context, epoch uint64) ([]Part, error)
	// Publish makes prepared parts visible: rename, fsync of the directory. It
	// may be repeated.
	Publish(ctx context.Context, parts []Part) error
	// Finish ends a run that succeeded or drained: it applies if_exists (old
	// files of a replace go) and writes the manifest.
	Finish(ctx context.Context) error
	// Abort removes everything that was not published. It may follow any call, and be repeated.
	Abort() error
}

// Part is one file of the output. Paths are relative to the sink's root and
// slash-separated. It is JSON in the manifest and in the journal.
type Part struct {
	Path      string            `json:"path"`
	Temp      string            `json:"temp,omitempty"` // its name until it is published
	Rows      int64             `json:"rows"`
	Bytes     int64             `json:"bytes"`
	SHA256    string            `json:"sha256"`
	Partition map[string]string `json:"partition,omitempty"`
	Epoch     uint64            `json:"epoch"`
	Created   time.Time         `json:"created"`
}
