package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// Commit is the commit block: when what was done is put on record, and when it
// becomes visible.
type Commit struct {
	Mode    string           `yaml:"mode" default:"auto" enum:"auto|exactly_once|each|none" doc:"exactly_once puts epochs on record as they are done; after a crash --resume goes on with the first that is not, and each row is in the output once. each makes files visible as they are done, for input without an end: after a crash rows may be there twice. none keeps no record: a run that fails leaves nothing. auto is exactly_once where the source can be read again from where it was and the sinks are files in a directory; each where the source has no end; else none."`
	Every   configs.Duration `yaml:"every" default:"1m" min:"10ms" doc:"An epoch ends after so long."`
	Rows    int64            `yaml:"rows" default:"0" min:"0" doc:"An epoch ends after so many rows, at the end of a read; 0 is no limit. Where a map has a seed and every is not set, epochs are of 1,000,000 rows and time ends none, since the numbers drawn depend on where batches are cut."`
	Publish string           `yaml:"publish" default:"end" enum:"end|epoch" doc:"When the files of an epoch become visible: all at the end of the run, or as soon as the epoch is on record. epoch does not go with if_exists: replace."`
	Spool   string           `yaml:"spool" default:"auto" enum:"auto|off" doc:"Whether the input of the first aggregate, sql or reduce stage is kept in the state until the run ends, so that a resumed run does not read it again. off saves the disk; then nothing before that stage is on record until the end."`
}

// Shorthand lets the mode stand for the mapping.
func (Commit) Shorthand() string { return "mode" }

// Commit modes.
const (
	modeAuto        = "auto"
	modeExactlyOnce = "exactly_once"
	modeEach        = "each"
	modeNone        = "none"
)

const (
	publishEpoch = "epoch"
	spoolOff     = "off"
	seededRows   = 1_000_000
	defaultEvery = time.Minute
)

// checkCommit reports settings that cannot be had together.
func (f *File) checkCommit(report func(field, message, hint string)) {
	if f.Source.Use == nil {
		return
	}
	blocks := f.blocking()
	if f.endless() && blocks >= 0 {
		report(fmt.Sprintf("stages[%d]", blocks), "needs its whole input, and the source may have no end",
			"give the aggregate a window, or, where the input does end, say bounded: true in the source")
	}
	if f.Commit.Publish != publishEpoch && f.Commit.Mode != modeEach {
		return
	}
	for _, b := range f.branches() {
		r, ok := b.use.(interface{ Replaces() bool })
		if ok && r.Replaces() {
			report(b.path, "replaces output, which goes when all of the new is there, and commit makes files visible before",
				"use if_exists: append, or leave commit.publish at end")
		}
	}
}

// mode decides what auto means once the source and the sinks are known. An
// explicit exactly_once that cannot be had is an error.
func (f *File) mode(t sources.Traits, o Options) (string, error) {
	cannot := f.cannotResume(t, o)
	if o.Dry {
		return modeNone, nil
	}
	switch f.Commit.Mode {
	case modeExactlyOnce:
		if cannot != nil {
			return "", fmt.Errorf("commit: exactly_once cannot be had: %w", cannot)
		}
		return modeExactlyOnce, nil
	case modeEach, modeNone:
		return f.Commit.Mode, nil
	}
	switch {
	case cannot == nil:
		return modeExactlyOnce, nil
	case f.endless():
		return modeEach, nil
	}
	return modeNone, nil
}

// cannotResume says why a run could not go on after a crash; nil where it can.
func (f *File) cannotResume(t sources.Traits, o Options) error {
	if o.Limit > 0 {
		return errors.New("the run has a --limit")
	}
	if !t.Ordered || !t.Replayable {
		return errors.New("the source cannot be read again from where it was")
	}
	for _, b := range f.branches() {
		switch single, ok := b.use.(sinks.Single); {
		case !ok:
			return fmt.Errorf("%s is no file", b.label)
		case single.OneEpoch():
			return fmt.Errorf("%s is one file, which appears at the end; a directory takes parts on the way", b.label)
		}
	}
	if f.endless() && f.windowed() {
		return errors.New("windows hold rows from one commit to another")
	}
	if f.Commit.Spool == spoolOff && f.blocking() >= 0 {
		return errors.New("spool is off, and nothing is on record before the aggregate ends")
	}
	return nil
}

// cadence is when epochs end.
func (f *File) cadence() (every time.Duration, rows int64) {
	every, rows = time.Duration(f.Commit.Every), f.Commit.Rows
	if rows == 0 && every == defaultEvery && f.seeded() {
		return 0, seededRows
	}
	return every, rows
}

// seeded reports whether a map draws random numbers by a seed.
func (f *File) seeded() bool {
	for _, s := range f.all() {
		if m, ok := s.Use.(*stages.Map); ok && m.Seed != nil {
			return true
		}
	}
	return false
}

// blocking is the first stage of the trunk that needs its whole input; -1 for none.
func (f *File) blocking() int {
	for i, s := range f.Stages {
		if f.blocks(s.Use) {
			return i
		}
	}
	return -1
}

// blocks reports whether a stage needs its whole input. One with windows does
// where that has an end.
func (f *File) blocks(t stages.Transform) bool {
	if w, ok := t.(stages.Windowed); ok && w.Windowed() {
		return !f.endless()
	}
	b, ok := t.(stages.Blocking)
	return ok && b.Blocks()
}

// windowed reports whether a stage holds rows in windows.
func (f *File) windowed() bool {
	for _, s := range f.all() {
		if w, ok := s.Use.(stages.Windowed); ok && w.Windowed() {
			return true
		}
	}
	return false
}

// planCommit says in words how a run of the file would commit.
func (f *File) planCommit(t sources.Traits) (string, error) {
	mode, err := f.mode(t, Options{})
	every, rows := f.cadence()
	turns := fmt.Sprintf("every %v", every)
	switch {
	case rows > 0 && every > 0:
		turns += fmt.Sprintf(" or %d rows", rows)
	case rows > 0:
		turns = fmt.Sprintf("every %d rows", rows)
	}
	switch mode {
	case modeExactlyOnce:
		text := "exactly once, on record " + turns + " in " + f.StateDir
		if i := f.blocking(); i >= 0 {
			text += ", with a spool before " + f.Labels[i]
		}
		return text, err
	case modeEach:
		return "at least once, visible " + turns, err
	case modeNone:
		why := ""
		if cannot := f.cannotResume(t, Options{}); cannot != nil {
			why = ": " + cannot.Error()
		}
		return "all at the end, nothing on record" + why, err
	}
	return "", err
}
