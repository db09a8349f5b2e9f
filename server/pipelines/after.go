package pipelines

import (
	"fmt"
	"slices"

	"github.com/rpipe-dev/rpipe/configs"
)

// connect finds pipelines that cannot be among the schedules there are: by their name, or
// by what they say they come after. Their files have an error, and they are not run.
func (s *Set) connect(all map[string]*entry) {
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
	var names []string
	for name := range known {
		names = append(names, name)
	}
	for name := range all {
		names = append(names, name)
	}
	for waiting := true; waiting; { // until nothing more can begin
		waiting = false
		for name, e := range all {
			if e.good != nil && !known[name] && !slices.ContainsFunc(e.good.timing.After, func(before string) bool { return !known[before] }) {
				known[name], waiting = true, true
			}
		}
	}
	for name, e := range all {
		if e.good == nil || known[name] {
			continue
		}
		for i, before := range e.good.timing.After {
			field := fmt.Sprintf("schedule.after[%d]", i)
			switch {
			case known[before]:
			case !slices.Contains(names, before):
				e.refuse(field, fmt.Sprintf("there is no schedule or pipeline %q", before), configs.DidYouMean(before, names))
			case before == name:
				e.refuse(field, "names the pipeline itself", "")
			default:
				e.refuse(field, before+" has an error, or comes after this one itself", "")
			}
		}
		e.good = nil
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
