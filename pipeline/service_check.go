package pipeline

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/stages"
)

// CheckService finds what keeps a file from serving requests, beside what Load
// finds.
func (f *File) CheckService() configs.Problems {
	var ps configs.Problems
	report := func(path, message, hint string) { ps = append(ps, f.doc.Problem(path, message, hint)) }
	if len(f.Sinks) > 1 || len(f.Sinks) == 1 && (f.Sinks[0].When != "" || len(f.Sinks[0].Stages) > 0) {
		report("sinks", "rows may go different ways, and a request has one answer", "serve a file with one sink")
	}
	for i, s := range f.Stages {
		path := fmt.Sprintf("stages[%d].%s", i, Transforms.NameOf(s.Use))
		if holds(s.Use) {
			report(path, "needs rows of more than one request", "serve a file without it: what it finds out beforehand can be the dataset of a join")
		}
		if queueOf(s) != "" {
			report(path+".on", "is for runs: requests are answered by R workers here, at once", "leave it out in what is served")
		}
		if c, ok := s.Use.(*stages.Fetch); ok {
			if field := c.Undeclared(); field != "" {
				report(path+"."+field, "the type of a column is inferred from many answers, and a request has few",
					"declare them all, such as columns: {price: {path: data.price, type: double}}")
			}
		}
	}
	if f.NeedsR() {
		ps = append(ps, f.missingScripts()...)
	}
	return ps
}

// holds reports whether a stage keeps rows for others to come.
func holds(t stages.Transform) bool {
	if w, ok := t.(stages.Windowed); ok && w.Windowed() {
		return true
	}
	b, ok := t.(stages.Blocking)
	return ok && b.Blocks()
}
