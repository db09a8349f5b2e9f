// Package journal keeps on stable storage what a run must know after a crash:
// how far the source was read, which parts are ready, what each stage must
// remember. It also keeps what one run leaves for the next: where an
// incremental source goes on.
//
// The state of a pipeline is a directory, local or on S3, with three names in it:
//
//	journal.json   of the run that is not finished; the commit point of each epoch
//	cursor.json    where an incremental source goes on
//	spool/         the input of blocking stages, of the run that is not finished
//
// A file is replaced at once or not at all: locally by write, fsync, rename, fsync
// of the directory; on S3 by a put that holds only if the object is the one that
// this process knows, so that a process that was taken for dead cannot commit.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/sinks"
)

// Journal is what a run has committed.
type Journal struct {
	Version  int       `json:"version"`
	Pipeline string    `json:"pipeline"`
	Run      string    `json:"run"`
	Started  time.Time `json:"started"`
	Updated  time.Time `json:"updated"`
	// Scheduled is ${run.scheduled_time} of the run.
	Scheduled string `json:"scheduled"`
	// Times are the scheduled times that its rows are for, where it is a run for one;
	// with Again they take the place of what runs before have written for it.
	Times []string `json:"times,omitempty"`
	Again bool     `json:"again,omitempty"`
	// Inputs are fingerprints of all that decides the output: the file, R code,
	// variables, input files.
	Inputs map[string]string `json:"inputs"`

	Epoch  uint64 `json:"epoch"`  // the last committed one
	Pos    string `json:"pos"`    // the source goes on after it
	Skip   int64  `json:"skip"`   // rows behind pos that belong to it: a read may end in the middle
	Rows   int64  `json:"rows"`   // read up to there
	Reads  uint64 `json:"reads"`  // up to there: the number of the next one
	Cursor string `json:"cursor"` // to be saved at the end of the run

	Phase   Phase                      `json:"phase"`
	Notes   map[string]json.RawMessage `json:"notes,omitempty"`
	Outputs map[string]*Output         `json:"outputs"` // by label
	Skipped int64                      `json:"skipped,omitempty"`
	Replay  *Replay                    `json:"replay,omitempty"`
}

// Replay is what a replay of the dead letter takes out of it at its end.
type Replay struct {
	Stage string   `json:"stage"` // where the rows go in
	Dir   string   `json:"dir"`
	Run   string   `json:"run,omitempty"` // only the rows of this run
	Files []string `json:"files"`         // in the dead letter
}

// Output is what one writer has ready.
type Output struct {
	Parts []sinks.Part    `json:"parts"`
	State json.RawMessage `json:"state,omitempty"`
}

// Phase says what a run was about when it wrote its journal.
type Phase string

const (
	// Reading is a run with rows left to read or to work on.
	Reading Phase = "reading"
	// Publishing is one that has only to make visible what is ready.
	Publishing Phase = "publishing"
	// Stopped is one that was asked to stop, and did.
	Stopped Phase = "stopped"
)

const version = 1

const (
	journalName = "journal.json"
	cursorName  = "cursor.json"
)

// Commit replaces the journal: what it says is committed when Commit returns.
func (d *Dir) Commit(ctx context.Context, j *Journal) error {
	j.Version, j.Updated = version, time.Now().UTC().Truncate(time.Millisecond)
	b, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("state: encode the journal: %w", err)
	}
	return d.write(ctx, journalName, append(b, '\n'))
}

// Journal is that of the run which is not finished; nil where there is none.
func (d *Dir) Journal(ctx context.Context) (*Journal, error) {
	b, err := d.read(ctx, journalName)
	if b == nil || err != nil {
		return nil, err
	}
	j := new(Journal)
	if err := json.Unmarshal(b, j); err != nil {
		return nil, fmt.Errorf("state: %s is no journal of rpipe (%w): move it away, and the run starts anew", d.show(journalName), err)
	}
	if j.Version != version {
		return nil, fmt.Errorf("state: %s has version %d, which this rpipe does not know: go on with the one that wrote it, or move it away, and the run starts anew", d.show(journalName), j.Version)
	}
	return j, nil
}

// Drop removes the journal and the spools: the run is finished, or given up.
func (d *Dir) Drop(ctx context.Context) error {
	return errors.Join(d.remove(ctx, journalName), d.removeSpool(ctx))
}

// cursor is the saved state of an incremental source.
type cursor struct {
	Cursor string    `json:"cursor"`
	Run    string    `json:"run,omitempty"`
	Saved  time.Time `json:"saved"`
}

// Cursor is where an incremental source goes on, and which run has saved it
// when; "" is from its beginning.
func (d *Dir) Cursor(ctx context.Context) (at, run string, saved time.Time, err error) {
	b, err := d.read(ctx, cursorName)
	if b == nil || err != nil {
		return "", "", time.Time{}, err
	}
	var c cursor
	if err := json.Unmarshal(b, &c); err != nil {
		return "", "", time.Time{}, fmt.Errorf("state: %s is damaged (%w): set it anew with rpipe state set", d.show(cursorName), err)
	}
	return c.Cursor, c.Run, c.Saved, nil
}

// SaveCursor says where the next run goes on; run is "" where a person says so.
func (d *Dir) SaveCursor(ctx context.Context, at, run string) error {
	b, err := json.MarshalIndent(cursor{at, run, time.Now().UTC().Truncate(time.Second)}, "", "  ")
	if err != nil {
		return err
	}
	return d.write(ctx, cursorName, append(b, '\n'))
}

// ClearCursor forgets it: the next run reads everything.
func (d *Dir) ClearCursor(ctx context.Context) error { return d.remove(ctx, cursorName) }
