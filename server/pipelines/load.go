package pipelines

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks"
)

// Load reads the directory. Files that are as they were, with their values, are left
// alone, those that are wrong have their problems said. It reports whether what Entries
// gives has changed; the error is that the directory cannot be read, and then everything
// stays.
func (s *Set) Load() (changed bool, err error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.o.Dir == "" {
		return false, nil
	}
	paths, err := files(s.o.Dir)
	if err != nil {
		return false, fmt.Errorf("pipelines.dir: %w", err)
	}
	s.mu.Lock()
	values := s.values
	before := map[string]*entry{} // by path
	for _, e := range s.all {
		before[e.path] = e
	}
	s.mu.Unlock()

	all := map[string]*entry{}
	var others configs.Problems
	for _, path := range paths {
		e := s.load(path, values, before[path])
		if first, taken := all[e.name]; taken {
			p := configs.Problem{File: path, Path: "name", Message: fmt.Sprintf("%s is the name of %s too", e.name, first.path), Hint: "give one of them another name:"}
			if e.good != nil {
				at := e.good.file.Place("name")
				p.Line, p.Column = at.Line, at.Column
			}
			others = append(others, p)
			continue
		}
		all[e.name] = e
	}
	s.checkNotify(all, before)
	s.connect(all, before)
	for path, e := range byPath(all) {
		s.tell(e, before[path])
	}
	for path := range before {
		if !slices.Contains(paths, path) {
			s.log.Info("a pipeline file is gone: it is not run any more", "file", path)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if others.Error() != s.problems.Error() {
		for _, p := range others {
			s.log.Error("a pipeline file is not used", "problem", p.String(), "hint", p.Hint)
		}
	}
	changed = !maps.Equal(goods(s.all), goods(all))
	s.all, s.problems = all, others
	return changed, nil
}

// goods are the versions that are run, by name.
func goods(all map[string]*entry) map[string]*version {
	runs := map[string]*version{}
	for name, e := range all {
		if e.good != nil {
			runs[name] = e.good
		}
	}
	return runs
}

// files are the pipeline files of a directory.
func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if isPipeline(e.Name()) && !e.IsDir() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// isPipeline reports whether a file of that name is one. Hidden files are editors' own.
func isPipeline(name string) bool {
	ext := filepath.Ext(name)
	return !strings.HasPrefix(name, ".") && (ext == ".yaml" || ext == ".yml")
}

// load reads one file. Where it has errors, the version before stays.
func (s *Set) load(path string, values map[string]string, before *entry) *entry {
	e := &entry{name: nameOf(path), path: path}
	if before != nil {
		e.name, e.good = before.name, before.good
	}
	text, err := os.ReadFile(path)
	if err != nil {
		e.problems = configs.Problems{{File: path, Message: "cannot be read: " + reason(err)}}
		return e
	}
	same := e.good != nil && bytes.Equal(e.good.text, text) && maps.Equal(e.good.values, values)
	if same && len(before.problems.Errors()) == 0 {
		e.problems = before.problems
		return e
	}
	v := &version{path: path, text: text, values: values, loaded: time.Now().UTC().Truncate(time.Second)}
	f, problems := s.given(v, nil).Load(path)
	e.problems = problems
	if f == nil || len(problems.Errors()) > 0 {
		return e
	}
	if err := tasks.CheckName("a pipeline under serve", f.Name); err != nil {
		at := f.Place("name")
		e.problems = append(e.problems, configs.Problem{File: path, Line: at.Line, Column: at.Column, Path: "name", Message: err.Error(), Hint: "say another name:"})
		return e
	}
	if s.Pool() == Shared {
		e.problems = append(e.problems, f.Unshared()...)
	}
	if same && e.good.file.Name == f.Name {
		return e // it was mended to what it had been
	}
	v.file, v.timing = f, timing(f)
	e.name, e.good = f.Name, v
	return e
}

// timing is when a pipeline is due: never, where it says no schedule. Runs by hand then
// follow one another.
func timing(f *pipeline.File) schedule.Timing {
	if f.Schedule != nil {
		return *f.Schedule
	}
	var t schedule.Timing
	configs.SetDefaults(&t)
	t.Overlap = "queue"
	return t
}

// tell logs the problems of a file that are new.
func (s *Set) tell(e, before *entry) {
	for _, p := range e.problems {
		if before != nil && slices.ContainsFunc(before.problems, func(o configs.Problem) bool { return o.String() == p.String() }) {
			continue
		}
		switch {
		case p.Warning:
			s.log.Warn("pipeline", "problem", p.String(), "hint", p.Hint)
		case e.good != nil:
			s.log.Error("a pipeline file has an error: its version of before is run on", "problem", p.String(), "hint", p.Hint)
		default:
			s.log.Error("a pipeline file has an error: it is not run", "problem", p.String(), "hint", p.Hint)
		}
	}
}

func reason(err error) string {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// settle is how long files must be left alone before they are read: editors write in
// several steps.
const settle = 150 * time.Millisecond

// Watch reads the directory again when a pipeline file in it has changed, and calls
// changed where that gives other entries. It returns when ctx ends.
func (s *Set) Watch(ctx context.Context, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w; pipelines.watch: false does without", s.o.Dir, err)
	}
	defer w.Close()
	if err := w.Add(s.o.Dir); err != nil {
		return fmt.Errorf("watch %s: %w; pipelines.watch: false does without", s.o.Dir, err)
	}
	again := func() {
		switch differs, err := s.Load(); {
		case err != nil:
			s.log.Error("pipelines are as they were", "error", err)
		case differs:
			changed()
		}
	}
	again() // what has changed since the start
	still := time.NewTimer(settle)
	still.Stop()
	for lost := false; ; {
		select {
		case e := <-w.Events:
			switch {
			case e.Op == fsnotify.Chmod:
			case e.Name == s.o.Dir: // another one may take its place
				s.log.Warn("the directory of pipeline files is gone: pipelines are as they were until there is one again", "dir", s.o.Dir)
				lost = true
				still.Reset(settle)
			case tells(filepath.Base(e.Name)):
				still.Reset(settle)
			}
		case err := <-w.Errors:
			s.log.Warn("watching pipeline files: some changes may have been missed, so all are read again", "error", err)
			still.Reset(settle)
		case <-still.C:
			if lost {
				if err := w.Add(s.o.Dir); err != nil {
					still.Reset(away)
					continue
				}
				lost = false
			}
			again()
		case <-ctx.Done():
			return nil
		}
	}
}

// away is how often a directory that is gone is looked for.
const away = time.Second

// tells reports whether pipelines may change with what has this name in the directory:
// they do with ..data where Kubernetes mounts a ConfigMap, whose files are links through it.
func tells(name string) bool { return isPipeline(name) || name == "..data" }
