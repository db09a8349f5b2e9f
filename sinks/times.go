package sinks

import (
	"fmt"
	"slices"
	"time"
)

// Files of the manifest are marked with the scheduled times that their rows are for,
// where the run was for one. A run for the same time takes their place, whatever
// if_exists says of those of other times.

// ofTime reports whether a file has the rows of this run's scheduled time, which it
// takes the place of.
func (o *output) ofTime(f manifestFile) bool {
	return o.again != "" && len(f.Scheduled) == 1 && f.Scheduled[0] == o.again
}

// checkTimes refuses what would replace rows of other scheduled times than the run's.
func (o *output) checkTimes() error {
	if o.again == "" || o.old == nil {
		return nil
	}
	for _, f := range o.old.Files {
		switch mixed := len(f.Scheduled) > 1 && slices.Contains(f.Scheduled, o.again); {
		case o.kind == existsReplace && later(f.Scheduled, o.again):
			return &Error{
				Op: "replace", Path: o.shown,
				Err:  fmt.Errorf("the output there is of scheduled time %s, and this run is for an earlier one, %s", slices.Max(f.Scheduled), o.again),
				Hint: "for a place for each time put ${run.scheduled_time} into path, or set if_exists: append, or replace_partitions",
			}
		case mixed && o.kind != existsReplace:
			return &Error{
				Op: "replace what was written for " + o.again + " in", Path: o.shown,
				Err:  fmt.Errorf("%s has rows of %d scheduled times together, as a compaction or a replay has put them there", f.Path, len(f.Scheduled)),
				Hint: "runs that are to be repeated need a place for each time, ${run.scheduled_time} in path, or an output that is not compacted; the rows there can be written anew to another path",
			}
		}
	}
	return nil
}

// later reports whether one of the times comes after t.
func later(times []string, t string) bool {
	at, err := time.Parse(time.RFC3339Nano, t)
	return err == nil && slices.ContainsFunc(times, func(s string) bool {
		other, err := time.Parse(time.RFC3339Nano, s)
		return err == nil && other.After(at)
	})
}

// gathered are the scheduled times of files, each once.
func gathered(times, more []string) []string {
	all := append(slices.Clone(times), more...)
	slices.Sort(all)
	return slices.Compact(all)
}
