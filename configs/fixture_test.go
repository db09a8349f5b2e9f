package configs

import "errors"

// A small grammar with everything in it that the package knows.

type pipelineFile struct {
	Version int               `yaml:"version" required:"true" min:"1" max:"1" doc:"The version of the grammar."`
	Name    string            `yaml:"name" doc:"A name."`
	Memory  Size              `yaml:"memory" default:"1GiB" min:"1MiB" doc:"Bytes in flight."`
	R       rBlock            `yaml:"r" doc:"The R workers."`
	Source  sourceSpec        `yaml:"source" required:"true" doc:"Where rows come from."`
	Stages  []stageSpec       `yaml:"stages" doc:"What happens to them."`
	Sink    sinkSpec          `yaml:"sink" doc:"Where they go."`
	Dead    *deadLetter       `yaml:"dead_letter" doc:"Where rows go that fail."`
	Labels  map[string]string `yaml:"labels" max:"2" doc:"Words for whoever reads the metrics."`
	Ignored string            `yaml:"-"`
	_       string            // neither is what is not exported
}

type rBlock struct {
	Source   []string          `yaml:"source" scalar:"true" doc:"R files." example:"[model.R]"`
	Workers  workers           `yaml:"workers" doc:"How many."`
	Token    Secret            `yaml:"token" doc:"Opens the package registry."`
	Env      map[string]Secret `yaml:"env" doc:"Environment of R."`
	Seed     *int64            `yaml:"seed" doc:"Of random numbers."`
	Niceness int8              `yaml:"niceness" doc:"Of bulk workers."`
	Share    float64           `yaml:"share" default:"0.5" min:"0" max:"1" doc:"Of the cores."`
	Level    level             `yaml:"level" default:"info" doc:"What is logged."`
}

type workers struct {
	Min  int      `yaml:"min" default:"1" min:"0" doc:"Kept up."`
	Max  uint16   `yaml:"max" doc:"At most."`
	Idle Duration `yaml:"idle" default:"5m" min:"1s" max:"1d" doc:"Until one ends."`
}

func (w *workers) Check(report func(field, message, hint string)) {
	if w.Max != 0 && int(w.Max) < w.Min {
		report("max", "is below min", "leave it out for the number of cores")
	}
}

func (w *workers) Warn(report func(field, message, hint string)) {
	if w.Max > 100 {
		report("max", "is more than most machines bear", "")
	}
}

// level reads its own text.
type level int

func (l *level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "info":
		*l = 1
	case "debug":
		*l = 2
	default:
		return errors.New("is no log level")
	}
	return nil
}

func (l level) MarshalText() ([]byte, error) {
	return []byte([]string{"", "info", "debug"}[l]), nil
}

type sourceSpec struct {
	Use any      `yaml:",component"`
	At  Position `yaml:",position"`
}

func (sourceSpec) Components() Table {
	return Table{
		{"csv", "Reads CSV files.", func() any { return new(csvSource) }},
		{"rows", "Rows in the file itself.", func() any { return new(rowsSource) }},
	}
}

type csvSource struct {
	Path      []string          `yaml:"path" required:"true" scalar:"true" doc:"Files or globs." example:"[data/*.csv]"`
	Delimiter string            `yaml:"delimiter" default:"," max:"1" doc:"Between fields."`
	NA        []string          `yaml:"na" default:"[NA, '']" doc:"What stands for a missing value."`
	Types     map[string]string `yaml:"types" enum:"int|double|string" doc:"Types of columns."`
	Failures  `yaml:",inline"`
}

type rowsSource struct {
	Data any `yaml:"data" doc:"A list of mappings."`
}

type stageSpec struct {
	Name string    `yaml:"name" doc:"A label."`
	Use  transform `yaml:",component"`
	At   Position  `yaml:",position"`
}

type transform interface{ stage() }

func (stageSpec) Components() Table {
	return Table{
		{"batch", "Cuts the stream.", func() any { return new(batchStage) }},
		{"map", "Calls an R function.", func() any { return new(mapStage) }},
		{"filter", "Keeps rows.", func() any { return new(filterStage) }},
		{"derive", "Adds columns.", func() any { return new(deriveStage) }},
		{"join", "Adds columns of a table.", func() any { return new(joinStage) }},
		{"split", "Sends rows | along branches.", func() any { return new(splitStage) }},
	}
}

type batchStage struct {
	Rows   int      `yaml:"rows" default:"10000" min:"0" doc:"Most rows."`
	Bytes  Size     `yaml:"bytes" default:"16MiB" min:"1KiB" doc:"Most bytes."`
	Period Duration `yaml:"period" default:"5s" doc:"Longest wait."`
}

func (b *batchStage) Check(report func(field, message, hint string)) {
	if b.Rows == 0 && b.Period == 0 {
		report("", "has no limit", "give at least one")
	}
}

type mapStage struct {
	Fun      string   `yaml:"fun" required:"true" doc:"The R function." example:"predict_delay"`
	Rows     string   `yaml:"rows" default:"any" enum:"any|same" doc:"How many rows come back."`
	Ordered  bool     `yaml:"ordered" default:"true" doc:"Keep the order."`
	Timeout  Duration `yaml:"timeout" doc:"Limit of a call."`
	Returns  Pairs    `yaml:"returns" doc:"Columns and their types."`
	Failures `yaml:",inline"`
	Retry    *retry `yaml:"retry" doc:"When to try again."`
}

type Failures struct {
	OnError string `yaml:"on_error" default:"stop" enum:"stop|retry|skip|dead_letter" doc:"What to do with rows that fail."`
	Most    int    `yaml:"max_failed" doc:"Rows that may."`
}

func (e *Failures) Check(report func(field, message, hint string)) {
	if e.Most > 0 && e.OnError == "stop" {
		report("max_failed", "does nothing with on_error: stop", "")
	}
}

type retry struct {
	Max  int      `yaml:"max" default:"3" doc:"Times."`
	Wait Duration `yaml:"wait" default:"1s" doc:"Between them."`
}

type filterStage struct {
	Where string `yaml:"where" required:"true" doc:"A SQL condition." example:"x > 1"`
}

func (filterStage) Shorthand() string { return "where" }

type deriveStage struct {
	Columns Pairs `yaml:",inline" required:"true" doc:"A SQL expression."`
}

// splitStage makes the grammar recursive.
type splitStage struct {
	When   string      `yaml:"when" required:"true" doc:"A condition."`
	Stages []stageSpec `yaml:"stages" min:"1" doc:"What happens then."`
}

// joinStage names its table by a path or as a source.
type joinStage struct {
	Table tableSpec `yaml:"table" required:"true" doc:"Where the columns come from."`
	On    Pairs     `yaml:"on" required:"true" scalar:"true" doc:"Columns that must be equal." example:"[id]"`
}

type tableSpec struct {
	Path []string `yaml:"path" scalar:"true" doc:"Files."`
	Use  any      `yaml:",component"`
}

func (tableSpec) Shorthand() string { return "path" }
func (tableSpec) Components() Table { return sourceSpec{}.Components() }

func (*joinStage) stage()   {}
func (*batchStage) stage()  {}
func (*mapStage) stage()    {}
func (*filterStage) stage() {}
func (*deriveStage) stage() {}
func (*splitStage) stage()  {}

type sinkSpec struct {
	Use any `yaml:",component"`
}

func (sinkSpec) Components() Table {
	return Table{
		{"parquet", "Writes Parquet files.", func() any { return new(parquetSink) }},
		{"csv", "Writes CSV files.", func() any { return new(csvSource) }},
	}
}

type parquetSink struct {
	Path        string   `yaml:"path" required:"true" doc:"A directory."`
	Compression string   `yaml:"compression" default:"zstd" enum:"zstd|snappy|none" doc:"Of pages."`
	Columns     []column `yaml:"columns" doc:"Settings of columns."`
}

type column struct {
	Name string   `yaml:"name" required:"true" doc:"Which."`
	At   Position `yaml:",position"`
}

func (p *parquetSink) Check(report func(field, message, hint string)) {
	for i, c := range p.Columns {
		if c.Name == "row" {
			report(item("columns", i)+".name", "is taken", "call it something else")
		}
	}
}

type deadLetter struct {
	Path string `yaml:"path" required:"true" doc:"A directory."`
}

// read loads a file with the variables N=7 and EMPTY.
func read(text string) (*pipelineFile, Problems) {
	f := new(pipelineFile)
	_, problems := Load("p.yaml", []byte(text), environment(map[string]string{"N": "7", "EMPTY": ""}), f)
	return f, problems
}

func environment(values map[string]string) Variables {
	return Variables{Env: func(name string) (string, bool) { v, ok := values[name]; return v, ok }}
}
