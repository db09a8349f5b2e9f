package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Test is a unit test of a part of the pipeline, written in its file: rows go in
// at one place, and are looked at in others. Real R and SQL work on them, and
// nothing is written. rpipe test runs it.
type Test struct {
	Name   string                `yaml:"name" required:"true" doc:"What the test is called in the output and for --run." example:"late flights are predicted"`
	Vars   map[string]string     `yaml:"vars" doc:"Values of ${name} for this test, which win over -v and the environment." example:"{day: 2026-11-01}"`
	Input  map[string]TestRows   `yaml:"input" required:"true" doc:"The rows that go in, under the label of the stage that they enter, or source for what the source would give. What stands before is left out." example:"{map: [{x: 4}, {x: -1}]}"`
	Mock   map[string]TestMock   `yaml:"mock" doc:"What takes the place of stages, by label: the stage is not built, and asks nobody." example:"{fetch: [{id: 1, price: 9.5}]}"`
	Expect map[string]TestExpect `yaml:"expect" required:"true" doc:"What must come out of a stage, or reach a sink, by label." example:"{map: {rows: 1, dead_letter: 1}}"`
}

// TestRows are rows that are written in the file, or in one beside it.
type TestRows struct {
	Rows  []any             `yaml:"rows" doc:"The rows, each a mapping of column names to values. A key that a row does not have, or null, is a missing value." example:"[{id: 1, name: a}, {id: 2, name: b}]"`
	File  string            `yaml:"file" doc:"A CSV, NDJSON or Parquet file with the rows, in place of rows."`
	Types map[string]string `yaml:"types" doc:"Types of columns by name. Without it they are those that the source or the map before the stage declares, else as the rows source has them." example:"{day: date}"`
}

// Shorthand lets the list stand without its key.
func (TestRows) Shorthand() string { return "rows" }

// Check implements configs.Checker.
func (r *TestRows) Check(report func(field, message, hint string)) {
	if r.File != "" && len(r.Rows) > 0 {
		report("file", "stands beside rows", "one of them is enough")
	}
	for i, row := range r.Rows {
		if _, ok := row.(configs.Object); !ok {
			report(fmt.Sprintf("rows[%d]", i), "is not a mapping of column names to values", "such as {id: 1, name: a}")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Types)) {
		if _, err := frame.ParseType(r.Types[name]); err != nil {
			report("types", fmt.Sprintf("column %q: %v", name, err), "")
		}
	}
}

// TestMock is what a stage is taken to give.
type TestMock struct {
	TestRows `yaml:",inline"`
	Error    string `yaml:"error" doc:"In place of rows: the stage fails with this text, for all its rows, and on_error of the stage says what becomes of them."`
}

// Shorthand lets the list of rows stand without its key.
func (TestMock) Shorthand() string { return "rows" }

// TestExpect is what must be seen at one place. All of it must hold.
type TestExpect struct {
	Rows       *int64        `yaml:"rows" min:"0" doc:"How many rows there are."`
	Equals     *TestRows     `yaml:"equals" doc:"Just these rows in this order, with just these columns, in any order. Numbers are compared by value, missing values are null, dates and times are ISO texts."`
	Contains   *TestRows     `yaml:"contains" doc:"These rows are there, wherever and beside whatever others, compared in the columns that each of them names."`
	Columns    configs.Pairs `yaml:"columns" doc:"These columns are there with these types, beside whatever others." example:"{carrier: string, predicted: double}"`
	Error      string        `yaml:"error" doc:"The stage fails, and this stands in its error: the one that ends the run, or that of rows in the dead letter."`
	DeadLetter *int64        `yaml:"dead_letter" min:"0" doc:"How many rows go to the dead letter at this stage; of a sink, at all stages before it."`
	Tolerance  float64       `yaml:"tolerance" default:"0" min:"0" doc:"How far a number may be from the expected one: that much, times its size where it is above 1. 0 is not at all." example:"1e-9"`
	AnyOrder   bool          `yaml:"any_order" default:"false" doc:"equals holds in any order of the rows."`
}

// Shorthand lets the list of rows that equals names stand without its key.
func (TestExpect) Shorthand() string { return "equals" }

// Check implements configs.Checker.
func (e *TestExpect) Check(report func(field, message, hint string)) {
	if e.Rows == nil && e.Equals == nil && e.Contains == nil && len(e.Columns) == 0 && e.Error == "" && e.DeadLetter == nil {
		report("", "expects nothing", "such as rows: 3, equals: [{id: 1}], columns: {id: int32}, error: text or dead_letter: 1")
	}
	for _, p := range e.Columns {
		if _, err := frame.ParseType(p.Value); err != nil {
			report("columns", fmt.Sprintf("column %q: %v", p.Name, err), "")
		}
	}
}

// checkTests reports labels that there are not, and tests that cannot be.
func (f *File) checkTests(report func(field, message, hint string)) {
	spots := f.spots()
	names := map[string]bool{}
	for i, t := range f.Tests {
		path := fmt.Sprintf("tests[%d]", i)
		if names[t.Name] {
			report(path+".name", "another test has this name: "+t.Name, "")
		}
		names[t.Name] = true
		switch {
		case len(t.Input) > 1:
			report(path+".input", "rows can go in at one place", "leave what stands before it out, or mock it")
		case len(t.Input) == 0:
			report(path+".input", "names no place for rows to go in", "such as {source: [{x: 1}]}, or the label of a stage")
		}
		if len(t.Expect) == 0 {
			report(path+".expect", "expects nothing", "such as {sink: {rows: 1}}, or the label of a stage")
		}
		in, known := spot{}, false
		for label := range t.Input {
			if in, known = spots[label]; !known || in.sink {
				report(keyPath(path+".input", label), "no stage has this label", f.labelHint(label, func(s spot) bool { return !s.sink }))
				known = false
			}
		}
		for _, label := range slices.Sorted(maps.Keys(t.Mock)) {
			s, ok := spots[label]
			switch {
			case !ok || !s.stage():
				report(keyPath(path+".mock", label), "no stage has this label", f.labelHint(label, spot.stage))
			case known && !s.follows(in):
				report(keyPath(path+".mock", label), "stands before the input, and is left out anyway", "")
			}
		}
		for _, label := range slices.Sorted(maps.Keys(t.Expect)) {
			s, ok := spots[label]
			switch {
			case !ok:
				report(keyPath(path+".expect", label), "no part has this label", f.labelHint(label, func(spot) bool { return true }))
			case known && !s.follows(in):
				report(keyPath(path+".expect", label), "stands before the input: no row comes by", "")
			}
		}
	}
}

// labelHint names the label that is meant, or all there are.
func (f *File) labelHint(label string, fit func(spot) bool) string {
	var among []string
	spots := f.spots()
	for name, s := range spots {
		if fit(s) {
			among = append(among, name)
		}
	}
	slices.SortFunc(among, func(a, b string) int { return spots[a].compare(spots[b]) })
	return configs.DidYouMean(label, among)
}

// keyPath is the path of a key as package configs writes it.
func keyPath(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[] \"") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	return path + "." + key
}
