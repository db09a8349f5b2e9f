package pipeline

import (
	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/stages/tables"
)

// Transforms are the components that may stand under stages. Those under source
// and sink are in sources.Table and sinks.Table.
var Transforms = configs.Table{
	{Name: "batch", Doc: "Cuts the stream into batches by rows, bytes or time.", New: func() any { return new(stages.Batcher) }},
	{Name: "map", Doc: "Calls an R function on each batch.", New: func() any { return new(stages.Map) }},
	{Name: "fetch", Doc: "Makes HTTP requests for each row and adds columns of the answers.", New: func() any { return new(stages.Fetch) }},
	{Name: "filter", Doc: "Keeps the rows for which a SQL expression is true.", New: func() any { return new(stages.Filter) }},
	{Name: "derive", Doc: "Adds or replaces columns by SQL expressions.", New: func() any { return new(stages.Derive) }},
	{Name: "join", Doc: "Looks up rows of a dataset by keys and adds their columns.", New: func() any { return new(tables.Join) }},
	{Name: "aggregate", Doc: "Makes one row of each group of rows, by SQL aggregate functions.", New: func() any { return new(stages.Aggregate) }},
	{Name: "reduce", Doc: "Calls an R function on each group of rows.", New: func() any { return new(stages.Reduce) }},
	{Name: "sql", Doc: "Answers a SELECT over the whole stream and datasets.", New: func() any { return new(tables.SQL) }},
	{Name: "select", Doc: "Keeps some columns.", New: func() any { return new(stages.Select) }},
	{Name: "rename", Doc: "Gives columns other names.", New: func() any { return new(stages.Rename) }},
}

// SourceSpec is the source block: one component of sources.Table.
type SourceSpec struct {
	Use sources.Source `yaml:",component"`
}

// Components implements configs.Union.
func (SourceSpec) Components() configs.Table { return sources.Table }

// StageSpec is one entry of stages: one component of Transforms, and a label.
type StageSpec struct {
	Name string           `yaml:"name" doc:"A label for logs, metrics, errors and the directories of the dead letter: letters, digits, spaces and _.- with a letter or digit first. Without it the component's name, with a number where it stands more than once."`
	Use  stages.Transform `yaml:",component"`
}

// Components implements configs.Union.
func (StageSpec) Components() configs.Table { return Transforms }

// SinkSpec is the sink block: one component of sinks.Table.
type SinkSpec struct {
	Use sinks.Sink `yaml:",component"`
}

// Components implements configs.Union.
func (SinkSpec) Components() configs.Table { return sinks.Table }
