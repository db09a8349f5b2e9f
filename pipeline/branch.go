package pipeline

import (
	"fmt"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/sinks"
)

// BranchSpec is one entry of sinks: where rows go, which ones, and what happens
// to them on the way.
type BranchSpec struct {
	Name   string      `yaml:"name" doc:"A label for logs, metrics, errors and the report. Without it the sink's name, with a number where it stands more than once."`
	When   string      `yaml:"when" doc:"The rows that go there: an SQL condition, as filter has it. Without it all do. otherwise is those that no other entry's condition takes." example:"region = 'EU'"`
	Stages []StageSpec `yaml:"stages" doc:"What happens to them on the way there. No stage here may need its whole input, as aggregate does."`
	Use    sinks.Sink  `yaml:",component"`
}

// Components implements configs.Union.
func (BranchSpec) Components() configs.Table { return sinks.Table }

// otherwise is the condition of the branch that takes what no other takes.
const otherwise = "otherwise"

// branch is a sink with what stands before it.
type branch struct {
	label  string
	path   string // in the file: sink or sinks[i]
	when   string // "" for all rows
	rest   bool   // when is made of the other branches' conditions
	stages []StageSpec
	labels []string // of stages
	use    sinks.Sink
}

// branches are the ends of the pipeline, of which there is at least one.
func (f *File) branches() []branch {
	if f.Sink != nil && f.Sink.Use != nil {
		return []branch{{label: "sink", path: "sink", use: f.Sink.Use}}
	}
	names := f.branchLabels()
	var bs []branch
	at := len(f.Stages)
	for i, s := range f.Sinks {
		b := branch{
			label: names[i], path: fmt.Sprintf("sinks[%d]", i), when: f.condition(i),
			rest: strings.TrimSpace(s.When) == otherwise, stages: s.Stages, use: s.Use,
		}
		if len(f.Labels) >= at+len(s.Stages) {
			b.labels = f.Labels[at : at+len(s.Stages)]
		}
		at += len(s.Stages)
		bs = append(bs, b)
	}
	return f.replay.narrowed(bs)
}

// condition is the SQL of branch i.
func (f *File) condition(i int) string {
	when := strings.TrimSpace(f.Sinks[i].When)
	if when != otherwise {
		return when
	}
	var taken []string
	for j, s := range f.Sinks {
		if w := strings.TrimSpace(s.When); j != i && w != "" && w != otherwise {
			taken = append(taken, "coalesce(("+w+"\n), false)")
		}
	}
	return "NOT (" + strings.Join(taken, " OR ") + ")"
}

func (f *File) branchLabels() []string {
	names := make([]string, len(f.Sinks))
	for i, s := range f.Sinks {
		if names[i] = s.Name; s.Name == "" && s.Use != nil {
			names[i] = sinks.Table.NameOf(s.Use)
		}
	}
	return numbered(names)
}

// all are the stages of the trunk, then those of each branch: the order of Labels.
func (f *File) all() []StageSpec {
	all := f.Stages
	for _, s := range f.Sinks {
		all = append(all[:len(all):len(all)], s.Stages...)
	}
	return all
}

// paths are where the stages of all stand in the file, such as stages[2].
func (f *File) paths() []string {
	var paths []string
	for i := range f.Stages {
		paths = append(paths, fmt.Sprintf("stages[%d]", i))
	}
	for i, s := range f.Sinks {
		for j := range s.Stages {
			paths = append(paths, fmt.Sprintf("sinks[%d].stages[%d]", i, j))
		}
	}
	return paths
}

// checkBranches reports what is wrong with sink and sinks.
func (f *File) checkBranches(report func(field, message, hint string)) {
	switch {
	case f.Sink == nil && len(f.Sinks) == 0:
		report("sink", "is missing: rows need a place to go", "add sink: {parquet: {path: out}}, or sinks: with a list of several")
	case f.Sink != nil && len(f.Sinks) > 0:
		report("sinks", "does not go with sink", "put all of them under sinks")
	}
	conditions, rest := 0, 0
	taken := map[string]bool{"source": true, "dead_letter": true}
	for i, s := range f.Sinks {
		field := fmt.Sprintf("sinks[%d]", i)
		switch w := strings.TrimSpace(s.When); {
		case w == otherwise:
			rest++
		case w != "":
			conditions++
		}
		for j, st := range s.Stages {
			if f.blocks(st.Use) {
				report(fmt.Sprintf("%s.stages[%d]", field, j), "needs its whole input, which a branch does not keep",
					"move it to the pipeline's stages, or write this branch out and aggregate it in a pipeline of its own")
			}
		}
		switch {
		case s.Name == "":
		case !namePattern.MatchString(s.Name):
			report(field+".name", fmt.Sprintf("%q is no name: letters, digits, spaces and _.- are allowed, up to 100, a letter or digit first", s.Name), "")
		case taken[s.Name]:
			report(field+".name", "is the label of another part too: "+s.Name, "give it another")
		}
		taken[s.Name] = true
	}
	if rest > 1 {
		report("sinks", "two of them say when: otherwise", "one can take the rest")
	}
	if rest == 1 && conditions == 0 {
		report("sinks", "when: otherwise takes what no other condition takes, and there is none", "leave it out: without when all rows go there")
	}
}

// stageLabel is the label of the k-th stage that is built for the branch.
func (b *branch) stageLabel(k int) string {
	if b.when == "" {
		return b.labels[k]
	}
	if k == 0 {
		return b.label + ".when"
	}
	return b.labels[k-1]
}
