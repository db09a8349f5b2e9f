package configs

import (
	"os"
	"testing"
)

type tSource struct {
	Source any `yaml:",component"`
}

func (tSource) Components() Table {
	return Table{
		{"csv", "Reads CSV files.", func() any { return new(tCSV) }},
		{"range", "Counts.", func() any { return new(tRange) }},
	}
}

type tCSV struct {
	Path      []string          `yaml:"path" required:"true" scalar:"true" doc:"Files or globs."`
	Delimiter string            `yaml:"delimiter" default:"," doc:"Between fields."`
	NA        []string          `yaml:"na" default:"[NA, '']" doc:"What means missing."`
	Types     map[string]string `yaml:"types" enum:"int|double|string" doc:"Types of columns."`
}
type tRange struct {
	To int `yaml:"to" required:"true" min:"1" doc:"Last."`
}
type tStage struct {
	Name      string   `yaml:"name" doc:"Label."`
	Transform any      `yaml:",component"`
	At        Position `yaml:",position"`
}

func (tStage) Components() Table {
	return Table{
		{"batch", "Cuts.", func() any { return new(tBatch) }},
		{"map", "Calls R.", func() any { return new(tMap) }},
		{"filter", "Keeps rows.", func() any { return new(tFilter) }},
		{"derive", "Adds columns.", func() any { return new(tDerive) }},
	}
}

type tBatch struct {
	Rows   int      `yaml:"rows" default:"10000" min:"1" doc:"Most rows."`
	Bytes  Size     `yaml:"bytes" default:"16MiB" min:"1KiB" doc:"Most bytes."`
	Period Duration `yaml:"period" default:"5s" doc:"Longest wait."`
}
type tMap struct {
	Fun     string   `yaml:"fun" required:"true" example:"predict" doc:"The R function."`
	Ordered bool     `yaml:"ordered" default:"true" doc:"Keep order."`
	OnError string   `yaml:"on_error" default:"stop" enum:"stop|retry|skip|dead_letter" doc:"On error."`
	Timeout Duration `yaml:"timeout" doc:"Limit."`
	Returns Pairs    `yaml:"returns" doc:"Types."`
}
type tFilter struct {
	Where string `yaml:"where" required:"true" doc:"SQL."`
}

func (tFilter) Shorthand() string { return "where" }

type tDerive struct {
	Columns Pairs `yaml:",inline" required:"true" doc:"Expressions."`
}
type tR struct {
	Source  []string `yaml:"source" doc:"Files."`
	Workers tWorkers `yaml:"workers" doc:"How many."`
	Token   Secret   `yaml:"token" doc:"A token."`
}
type tWorkers struct {
	Min int `yaml:"min" default:"1" min:"0" doc:"Least."`
	Max int `yaml:"max" default:"0" doc:"Most."`
}

func (w *tWorkers) Check(report func(field, message, hint string)) {
	if w.Max != 0 && w.Max < w.Min {
		report("max", "is below min", "")
	}
}

type tPipeline struct {
	Version int      `yaml:"version" required:"true" doc:"1."`
	Name    string   `yaml:"name" doc:"Name."`
	R       tR       `yaml:"r" doc:"R."`
	Source  tSource  `yaml:"source" required:"true" doc:"Input."`
	Stages  []tStage `yaml:"stages" doc:"Stages."`
	Dead    *struct {
		Path string `yaml:"path" required:"true"`
	} `yaml:"dead_letter"`
}

func TestEveryProblemOfAFileIsReported(t *testing.T) {
	var p tPipeline
	_, ps := Load("x.yaml", []byte(`version: one
nmae: x
r:
  workers: {min: 3, max: 2}
  token: hunter2 hunter3
  compression: 3
source:
  csv: {delimiter: ;, rows: 3}
stages:
  - batch:
  - batch: {row: 10, bytes: 12mb, period: 5}
  - map: {fn: "${N}"}
    timeout: 5s
  - filter: x > 1
  - csv: {}
  - derive: {a: 1, b: "x"}
  - map: {fun: x, on_error: deadletter}
    filter: y
  - nope
dead_letter:
`), Variables{Flags: map[string]string{"M": "1"}}, &p)
	ps.Format(os.Stdout, false)
	t.Logf("%+v", p)
}
