// Package pipelines runs pipeline files inside of a server: those of a directory, which is
// read again when files change. It gives them to the keeper of schedules, does their runs,
// and tells how they stand. Package server is its user.
//
// What is promised: a file with an error keeps no other from running, and its version of
// before is run on. A run that died with its server goes on where its record ends, and
// one that is repeated for its time replaces what it has written. Whatever happens in a
// run, the server goes on.
package pipelines

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
)

// Options are what a Set has from its server.
type Options struct {
	Config
	Owner   string            // of the pipelines
	R       *rpool.Pool       // of the workers; nil where there are none
	Metrics *metrics.Registry // shows runs; nil shows none
	Others  func() []string   // names of schedules that are no pipelines; nil for none
	Targets func() []string   // that schedules may notify; nil for any
	Log     *slog.Logger      // nil discards
	// Run finds the record of a run, also of one that has ended. Nil finds none.
	Run func(ctx context.Context, id string) (schedule.Run, error)
}

// Set is the pipelines of a directory. Its methods may be called by several goroutines.
type Set struct {
	o     Options
	log   *slog.Logger
	slots chan struct{} // has an element for each run under way

	loading  sync.Mutex // over Load
	mu       sync.Mutex
	values   map[string]string        // of variables, for the versions that are read from now
	all      map[string]*entry        // by name
	problems configs.Problems         // of no pipeline's
	turns    map[string]chan struct{} // of each pipeline: has an element while one of its runs works
	live     map[string]*live         // by id of the run
}

// entry is a pipeline of the directory.
type entry struct {
	name     string
	path     string
	good     *version         // nil where there was none yet
	problems configs.Problems // of the file as it is
}

// version is a pipeline file that can be run.
type version struct {
	path   string
	text   []byte
	values map[string]string // of variables, beside those of a run
	file   *pipeline.File
	timing schedule.Timing
	loaded time.Time
}

// New is the set of pipelines of a directory, which Load reads.
func New(o Options) *Set {
	s := &Set{
		o: o, log: o.Log, slots: make(chan struct{}, max(1, o.Runs)), values: o.Values,
		all: map[string]*entry{}, turns: map[string]chan struct{}{}, live: map[string]*live{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Pool is which R workers runs use: Shared or Own.
func (s *Set) Pool() string {
	if s.o.R == nil {
		return Own
	}
	return s.o.Config.Pool
}

// Entries are the pipelines as the keeper of schedules takes them. Those without a
// schedule are never due.
func (s *Set) Entries() []keeper.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []keeper.Entry
	for _, e := range s.sorted() {
		if e.good != nil {
			all = append(all, keeper.Entry{
				Name: e.name, Timing: e.good.timing, Kind: Kind, From: e.path, Owner: s.o.Owner, Work: &work{s, e.name},
			})
		}
	}
	return all
}

// Kind is that of the entries of pipelines.
const Kind = "pipeline"

// sorted are all pipelines by name. s.mu is held.
func (s *Set) sorted() []*entry {
	var all []*entry
	for _, e := range s.all {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return all
}

// Status is a pipeline as it stands.
type Status struct {
	Name     string
	Path     string
	State    string           // OK, Stale or Broken
	Problems configs.Problems // of the file as it is now, warnings too
	Loaded   time.Time        // when the version that runs use was read; zero for none
	Timing   *schedule.Timing // nil where it runs by hand
	Nodes    []pipeline.Node
	Dead     bool // it has a dead letter
}

// States of pipelines.
const (
	OK     = "ok"
	Stale  = "stale"  // the file has an error, and the version before is run
	Broken = "broken" // the file has an error, and there is no version before
)

// List are all pipelines by name, and problems that are none's.
func (s *Set) List() ([]Status, configs.Problems) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, e := range s.sorted() {
		all = append(all, e.status())
	}
	return all, s.problems
}

// Get is one of them.
func (s *Set) Get(name string) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.all[name]
	if !ok {
		return Status{}, false
	}
	return e.status(), true
}

func (e *entry) status() Status {
	st := Status{Name: e.name, Path: e.path, Problems: e.problems, State: OK}
	switch broken := len(e.problems.Errors()) > 0; {
	case broken && e.good == nil:
		st.State = Broken
	case broken:
		st.State = Stale
	}
	if e.good == nil {
		return st
	}
	st.Loaded, st.Nodes, st.Dead = e.good.loaded, e.good.file.Graph(), e.good.file.DeadLetter != nil
	if e.good.file.Schedule != nil {
		st.Timing = &e.good.timing
	}
	return st
}

// version is what a run of a pipeline uses; nil where there is none.
func (s *Set) version(name string) *version {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.all[name]; ok {
		return e.good
	}
	return nil
}

// given is what a run of it has from outside.
func (s *Set) given(v *version, values map[string]string) pipeline.Given {
	return pipeline.Given{Text: v.text, Vars: values, More: v.values}
}

// nameOf is what a pipeline file is called that says no name.
func nameOf(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// SetValues changes the values of variables that pipelines have from the next Load on.
func (s *Set) SetValues(values map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = values
}

// Dir is where the files are; "" is nowhere.
func (s *Set) Dir() string { return s.o.Dir }
