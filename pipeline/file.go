// Package pipeline runs pipeline files: batch ETL from a source through stages
// to a sink. It joins what sources, stages and sinks offer into one graph;
// checks and plans it without running anything; runs it, commits its output,
// and reports. The command line and the scheduler are its users.
package pipeline

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/store"
)

// File is a pipeline file.
type File struct {
	Version    int               `yaml:"version" required:"true" min:"1" max:"1" doc:"The version of this grammar: 1."`
	Name       string            `yaml:"name" doc:"The pipeline's name. Without it the file's, less its extension."`
	Memory     configs.Size      `yaml:"memory" default:"1GiB" min:"1048576" doc:"Bytes of rows, as they were read, that may be between source and sink at once; columns that stages add and R's own memory come on top. The source waits while it is used up."`
	Grace      configs.Duration  `yaml:"grace" default:"1m" doc:"How long what was read may take to be finished after the first SIGINT or SIGTERM. 0 is no limit."`
	R          R                 `yaml:"r" doc:"The R workers that map stages use."`
	Tasks      Tasks             `yaml:"tasks" doc:"The task server whose workers call the functions of maps that say on: a queue."`
	S3         store.Config      `yaml:"s3" doc:"How paths that begin with s3:// are reached."`
	Source     SourceSpec        `yaml:"source" required:"true" doc:"Where rows come from."`
	Stages     []StageSpec       `yaml:"stages" doc:"What happens to them, in order."`
	Sink       *SinkSpec         `yaml:"sink" doc:"Where they go."`
	Sinks      []BranchSpec      `yaml:"sinks" doc:"Where they go, in place of sink, where there are several places. All of them commit together."`
	Commit     Commit            `yaml:"commit" doc:"When what was done is put on record, and when it becomes visible."`
	StateDir   string            `yaml:"state" default:".rpipe" doc:"Where the record of unfinished runs and the cursors of incremental sources are kept: a directory, or s3://bucket/prefix. It holds rows where an aggregate, sql or reduce stage has a spool."`
	DeadLetter *sinks.DeadLetter `yaml:"dead_letter" doc:"Where rows go that fail in a stage or source with on_error: dead_letter."`
	Schedule   *schedule.Timing  `yaml:"schedule" doc:"When rpipe serve --pipelines runs it. rpipe run does not look at it."`
	Tests      []Test            `yaml:"tests" doc:"Unit tests of the stages, which rpipe test runs. A run does not look at them."`

	Path      string   `yaml:"-"` // as the user gave it
	RunID     string   `yaml:"-"` // of the run that it was loaded for
	Scheduled string   `yaml:"-"` // ${run.scheduled_time} of that run
	Labels    []string `yaml:"-"` // of Stages, then of those of each of Sinks
	doc       *configs.Document
	s3        *store.Client
	print     string            // fingerprint of the text
	variables map[string]string // fingerprints, by name
	resumes   *journal.Journal  // the run that it was loaded to go on with
	replay    *replaying        // nil unless ForReplay made it
	forTime   bool              // it was loaded for a run for a time, as a server has them
	alone     bool              // with forTime: for no time that another run could be for
}

// Dir is the directory that relative paths start from: the file's own.
func (f *File) Dir() string { return filepath.Dir(f.Path) }

// Check implements configs.Checker.
func (f *File) Check(report func(field, message, hint string)) {
	if f.DeadLetter == nil {
		paths := f.paths()
		for i, s := range f.all() {
			if deadLetters(s.Use) {
				report(paths[i], "says on_error: dead_letter, and there is no dead_letter block",
					"add dead_letter: {path: out/dead}")
			}
		}
		if deadLetters(f.Source.Use) {
			report("source", "says on_error: dead_letter, and there is no dead_letter block",
				"add dead_letter: {path: out/dead}")
		}
	}
	f.checkNames(report)
	f.checkBranches(report)
	f.checkCommit(report)
	f.checkTests(report)
	f.checkQueues(report)
	f.checkSchedule(report)
	if f.NeedsR() && len(f.R.Source)+len(f.R.Packages) == 0 && f.R.Setup == "" && !strings.Contains(f.mapped(), "::") {
		report("r", "no file or package; a map stage calls "+f.mapped()+", which nothing here could define",
			"add r: {source: [model.R]}")
	}
}

// namePattern is what a stage may be called: the label is a directory of the
// dead letter, a word in logs and a value in metrics.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 _.-]{0,99}$`)

// checkNames reports names that are not fit for a label, or that two parts have.
func (f *File) checkNames(report func(field, message, hint string)) {
	taken := map[string]string{"source": "the source", "sink": "the sink", "fan-out": "the part that divides rows among sinks"}
	for _, label := range automaticLabels(f.all()) {
		taken[label] = "a stage without a name"
	}
	paths := f.paths()
	for i, s := range f.all() {
		field := paths[i] + ".name"
		switch {
		case s.Name == "":
		case !namePattern.MatchString(s.Name):
			report(field, fmt.Sprintf("%q is no name: letters, digits, spaces and _.- are allowed, up to 100, a letter or digit first", s.Name), "")
		case taken[s.Name] != "":
			report(field, "is the label of "+taken[s.Name]+" too: "+s.Name, "give it another")
		default:
			taken[s.Name] = "another stage"
		}
	}
}

// automaticLabels are those of the stages without a name.
func automaticLabels(all []StageSpec) []string {
	unnamed := &File{}
	for _, s := range all {
		if s.Name == "" && s.Use != nil {
			unnamed.Stages = append(unnamed.Stages, s)
		}
	}
	unnamed.label()
	return unnamed.Labels
}

// rejecter is a source or stage with on_error.
type rejecter interface {
	// DeadLetters reports whether rows that fail go to the dead letter.
	DeadLetters() bool
}

func deadLetters(component any) bool {
	r, ok := component.(rejecter)
	return ok && r.DeadLetters()
}
