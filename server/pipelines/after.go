package pipelines

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rpipe-dev/rpipe/configs"
)

// connect finds pipelines that cannot be among the schedules there are: by their name, or
// by what they say they come after. Their files have an error: the versions of before, by
// path, are run on where those can be, and the others are not run.
func (s *Set) connect(all, before map[string]*entry) {
	known := map[string]bool{}
	if s.o.Others != nil {
		for _, name := range s.o.Others() {
			known[name] = true
		}
	}
	for name, e := range all {
		if known[name] {
			e.refuse("name", fmt.Sprintf("%s is the name of a schedule of rpipe.yaml too", name), "give one of them another name:")
			e.good = nil
		}
	}
	names := slices.Concat(slices.Collect(maps.Keys(known)), slices.Collect(maps.Keys(all)))
	reach(all, known)
	for name, e := range all {
		old := before[e.path]
		if e.good == nil || known[name] || old == nil || old.name != name || old.good == nil || slices.Equal(old.good.timing.After, e.good.timing.After) {
			continue
		}
		e.refuseAfter(known, names)
		e.good = old.good
	}
	reach(all, known)
	for name, e := range all {
		if e.good != nil && !known[name] {
			e.refuseAfter(known, names)
			e.good = nil
		}
	}
}

// reach adds to known the pipelines whose predecessors are known.
func reach(all map[string]*entry, known map[string]bool) {
	for more := true; more; {
		more = false
		for name, e := range all {
			if e.good != nil && !known[name] && !slices.ContainsFunc(e.good.timing.After, func(before string) bool { return !known[before] }) {
				known[name], more = true, true
			}
		}
	}
}

// refuseAfter adds an error for each predecessor that is not known. names are all there are.
func (e *entry) refuseAfter(known map[string]bool, names []string) {
	if len(e.problems.Errors()) > 0 {
		return // those of the file are said, and this is the version before
	}
	for i, before := range e.good.timing.After {
		field := fmt.Sprintf("schedule.after[%d]", i)
		switch {
		case known[before]:
		case !slices.Contains(names, before):
			e.refuse(field, fmt.Sprintf("there is no schedule or pipeline %q", before), configs.DidYouMean(before, names))
		case before == e.name:
			e.refuse(field, "names the pipeline itself", "name another, or leave it out")
		default:
			e.refuse(field, before+" has an error, or comes after this one itself", "mend "+before+", or leave it out")
		}
	}
}

// checkNotify finds pipelines that notify a target that is not there. That is an error of
// their files, too: the versions of before, by path, are run on.
func (s *Set) checkNotify(all, before map[string]*entry) {
	if s.o.Targets == nil {
		return
	}
	targets := s.o.Targets()
	for name, e := range all {
		if e.good == nil || len(e.problems.Errors()) > 0 {
			continue
		}
		for i, target := range e.good.timing.Notify {
			if slices.Contains(targets, target) {
				continue
			}
			hint := configs.DidYouMean(target, targets)
			if hint == "" {
				hint = "add it there, or name another"
			}
			e.refuse(fmt.Sprintf("schedule.notify[%d]", i), fmt.Sprintf("there is no %s under notify in rpipe.yaml", target), hint)
		}
		if len(e.problems.Errors()) == 0 {
			continue
		}
		e.good = nil
		if old := before[e.path]; old != nil && old.name == name {
			e.good = old.good
		}
	}
}

// refuse adds an error of the version that was read.
func (e *entry) refuse(path, message, hint string) {
	p := configs.Problem{File: e.path, Path: path, Message: message, Hint: hint}
	if e.good != nil {
		at := e.good.file.Place(path)
		p.Line, p.Column = at.Line, at.Column
	}
	e.problems = append(slices.Clone(e.problems), p)
}

// byPath are pipelines by their file.
func byPath(all map[string]*entry) map[string]*entry {
	paths := map[string]*entry{}
	for _, e := range all {
		paths[e.path] = e
	}
	return paths
}
