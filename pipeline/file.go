// Package pipeline runs pipeline files: batch ETL from a source through stages
// to a sink. It joins what sources, stages and sinks offer into one graph;
// checks and plans it without running anything; runs it, commits its output,
// and reports. The command line and the scheduler are its users.
package pipeline

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/sinks"
)

// File is a pipeline file.
type File struct {
	Version    int               `yaml:"version" required:"true" min:"1" max:"1" doc:"The version of this grammar: 1."`
	Name       string            `yaml:"name" doc:"The pipeline's name. Without it the file's, less its extension."`
	Memory     configs.Size      `yaml:"memory" default:"1GiB" min:"1048576" doc:"Bytes of rows that may be between source and sink at once, R's own memory aside. The source waits while it is used up."`
	Grace      configs.Duration  `yaml:"grace" default:"1m" doc:"How long what was read may take to be finished after the first SIGINT or SIGTERM. 0 is no limit."`
	R          R                 `yaml:"r" doc:"The R workers that map stages use."`
	Source     SourceSpec        `yaml:"source" required:"true" doc:"Where rows come from."`
	Stages     []StageSpec       `yaml:"stages" doc:"What happens to them, in order."`
	Sink       SinkSpec          `yaml:"sink" required:"true" doc:"Where they go."`
	DeadLetter *sinks.DeadLetter `yaml:"dead_letter" doc:"Where rows go that fail in a stage or source with on_error: dead_letter."`

	Path   string   `yaml:"-"` // as the user gave it
	RunID  string   `yaml:"-"` // of the run that it was loaded for
	Labels []string `yaml:"-"` // of Stages
	doc    *configs.Document
}

// Dir is the directory that relative paths start from: the file's own.
func (f *File) Dir() string { return filepath.Dir(f.Path) }

// Check implements configs.Checker.
func (f *File) Check(report func(field, message, hint string)) {
	if f.DeadLetter == nil {
		for i, s := range f.Stages {
			if onError(s.Use) == "dead_letter" {
				report(fmt.Sprintf("stages[%d]", i), "says on_error: dead_letter, and there is no dead_letter block",
					"add dead_letter: {path: out/dead}")
			}
		}
		if onError(f.Source.Use) == "dead_letter" {
			report("source", "says on_error: dead_letter, and there is no dead_letter block",
				"add dead_letter: {path: out/dead}")
		}
	}
	seen := map[string]bool{}
	for i, s := range f.Stages {
		if s.Name != "" && seen[s.Name] {
			report(fmt.Sprintf("stages[%d].name", i), "is the name of another stage too: "+s.Name, "give it another")
		}
		seen[s.Name] = true
	}
	if f.NeedsR() && len(f.R.Source)+len(f.R.Packages) == 0 && f.R.Setup == "" && !strings.Contains(f.mapped(), "::") {
		report("r", "no file or package; a map stage calls "+f.mapped()+", which nothing here could define",
			"add r: {source: [model.R]}")
	}
}

// onError is what a component's on_error says; "" where it has none.
func onError(component any) string {
	v := reflect.Indirect(reflect.ValueOf(component))
	if v.Kind() != reflect.Struct {
		return ""
	}
	f := v.FieldByName("OnError")
	if f.Kind() == reflect.Struct { // the embedded stages.OnError
		f = f.FieldByName("OnError")
	}
	if f.Kind() != reflect.String {
		return ""
	}
	return f.String()
}
