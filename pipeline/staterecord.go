package pipeline

import (
	"maps"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/sources"
)

// State is what a pipeline's runs have left on record, for people to look at.
type State struct {
	Pipeline   string       `json:"pipeline"`
	Path       string       `json:"path"`              // where it is kept
	Running    bool         `json:"running,omitempty"` // a run of this machine has the lock
	Cursor     *SavedCursor `json:"cursor,omitempty"`
	Unfinished *Unfinished  `json:"unfinished,omitempty"`
}

// SavedCursor is where the next run of an incremental source goes on.
type SavedCursor struct {
	Value string    `json:"value"`
	Run   string    `json:"run,omitempty"` // that saved it; "" for a person
	Saved time.Time `json:"saved"`
}

// Unfinished is a run that did not finish, and that --resume goes on with.
type Unfinished struct {
	Run       string        `json:"run"`
	Phase     journal.Phase `json:"phase"`
	Started   time.Time     `json:"started"`
	Recorded  time.Time     `json:"recorded"` // its last commit
	Scheduled string        `json:"scheduled,omitempty"`
	Epoch     uint64        `json:"epoch"`
	Rows      int64         `json:"rows"`  // of the input, that are on record
	Reads     uint64        `json:"reads"` // of the source
	Skipped   int64         `json:"skipped_rows,omitempty"`
	Cursor    string        `json:"cursor,omitempty"` // to be saved at its end
	Outputs   []Ready       `json:"outputs"`
}

// Ready is what a run has written to one output, visible or not.
type Ready struct {
	Output string `json:"output"`
	Files  int    `json:"files"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
}

// Unfinish tells of a journal what people want to know.
func Unfinish(j *journal.Journal) *Unfinished {
	u := &Unfinished{
		Run: j.Run, Phase: j.Phase, Started: j.Started, Recorded: j.Updated, Scheduled: j.Scheduled,
		Epoch: j.Epoch, Rows: j.Rows, Reads: j.Reads, Skipped: j.Skipped, Cursor: j.Cursor, Outputs: []Ready{},
	}
	for _, label := range slices.Sorted(maps.Keys(j.Outputs)) {
		r := Ready{Output: label, Files: len(j.Outputs[label].Parts)}
		for _, p := range j.Outputs[label].Parts {
			r.Rows += p.Rows
			r.Bytes += p.Bytes
		}
		u.Outputs = append(u.Outputs, r)
	}
	return u
}

// Incremental reports whether the source keeps a cursor from run to run.
func (f *File) Incremental() bool {
	s, ok := f.Source.Use.(sources.Incremental)
	return ok && s.Incremental()
}

// CheckCursor reports what is wrong with a cursor that a person gives, by the
// source's settings and by what a run has saved.
func (f *File) CheckCursor(cursor, saved string) error {
	if s, ok := f.Source.Use.(sources.Incremental); ok {
		return s.CheckCursor(cursor, saved)
	}
	return nil
}

// Place is where a part of the file stands, or the nearest thing around it.
func (f *File) Place(path string) configs.Position { return f.doc.Place(path) }
