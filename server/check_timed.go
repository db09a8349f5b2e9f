package server

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/server/pipelines"
)

// checkTimed finds what is wrong with the scripts of schedules, with the pipelines of the
// directory, and with what comes after what.
func (f *File) checkTimed(ctx context.Context) configs.Problems {
	problems, names, entries := f.checkPipelines(ctx)
	for i := range f.Schedules {
		names = append(names, f.Schedules[i].Name)
	}
	missing := false
	for i := range f.Schedules {
		c := &f.Schedules[i]
		entries = append(entries, keeper.Entry{Name: c.Name, Timing: c.Timing, From: f.Path})
		if info, err := os.Stat(f.below(c.File)); c.File != "" && (err != nil || info.IsDir()) {
			problems = append(problems, f.doc.Problem(fmt.Sprintf("schedules[%d].file", i), c.File+": no such file", "it is looked for from the directory of "+f.Path))
		}
		for n, before := range c.After {
			if !slices.Contains(names, before) {
				missing = true
				problems = append(problems, f.doc.Problem(fmt.Sprintf("schedules[%d].after[%d]", i, n), fmt.Sprintf("there is no schedule or pipeline %q", before), configs.DidYouMean(before, names)))
			}
		}
	}
	if missing || len(problems.Errors()) > 0 {
		return problems // what is missing would be said again
	}
	if err := keeper.Check(entries); err != nil {
		problems = append(problems, f.doc.Problem("schedules", err.Error(), "leave one of them out of after"))
	}
	return problems
}

// checkPipelines finds what is wrong with the pipelines of the directory. It gives the
// names of all, and those that would be run.
func (f *File) checkPipelines(ctx context.Context) (problems configs.Problems, names []string, entries []keeper.Entry) {
	c := f.Pipelines
	if c.Dir == "" {
		return nil, nil, nil
	}
	if !filepath.IsAbs(c.Dir) {
		c.Dir = filepath.Join(filepath.Dir(f.Path), c.Dir)
	}
	set := pipelines.New(pipelines.Options{Config: c, Targets: func() []string { return slices.Collect(maps.Keys(f.Notify)) }, Others: func() (others []string) {
		for i := range f.Schedules {
			others = append(others, f.Schedules[i].Name)
		}
		return others
	}})
	if _, err := set.Load(); err != nil {
		return configs.Problems{f.doc.Problem("pipelines.dir", strings.TrimPrefix(err.Error(), "pipelines.dir: "), "make it, or name another")}, nil, nil
	}
	all, problems := set.List()
	for i := range all {
		p := &all[i]
		names = append(names, p.Name)
		found := p.Problems
		if p.State == pipelines.OK {
			var err error
			if _, found, err = set.Plan(ctx, p.Name, nil); err != nil {
				found = configs.Problems{{File: p.Path, Message: err.Error()}}
			}
		}
		problems = append(problems, found...)
	}
	return problems, names, set.Entries()
}
