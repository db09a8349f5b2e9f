package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// judge holds what was seen against what the test expects, in the order of the
// graph. failed is the error that ended it.
func (g *testGraph) judge(ctx context.Context, path string, failed error) (failures []TestFailure) {
	stage := ""
	var at *stages.StageError
	if errors.As(failed, &at) {
		stage = at.Stage
	}
	if failed != nil && g.test.Expect[stage].Error == "" {
		f := g.file.failure(path, failed.Error())
		f.Traceback = Traceback(failed)
		return []TestFailure{f}
	}
	spots := g.file.spots()
	labels := sortedNames(g.test.Expect)
	slices.SortStableFunc(labels, func(a, b string) int { return spots[a].compare(spots[b]) })
	for _, label := range labels {
		e := g.test.Expect[label]
		j := &judgement{graph: g, expect: &e, label: label, path: keyPath(path+".expect", label)}
		if stage == label {
			j.failed = failed
		}
		if err := j.all(ctx); err != nil {
			j.fail("", err.Error(), nil)
		}
		failures = append(failures, j.failures...)
	}
	return failures
}

// judgement is about one place.
type judgement struct {
	graph    *testGraph
	expect   *TestExpect
	label    string
	path     string
	failed   error // of the stage; nil for none
	failures []TestFailure
}

func (j *judgement) fail(key, message string, rows []RowDiff) *TestFailure {
	path := j.path
	if key != "" {
		path += "." + key
	}
	f := j.graph.file.failure(path, message)
	f.Rows = rows
	j.failures = append(j.failures, f)
	return &j.failures[len(j.failures)-1]
}

// all looks at everything that is expected.
func (j *judgement) all(ctx context.Context) error {
	j.errors()
	j.deadLetters()
	e := j.expect
	if e.Rows == nil && e.Equals == nil && e.Contains == nil && len(e.Columns) == 0 {
		return nil
	}
	got, err := j.graph.sight[j.label].frame()
	if err != nil {
		return err
	}
	if e.Rows != nil && got.NumRows() != *e.Rows {
		j.fail("rows", fmt.Sprintf("%s, not %d", plural(int(got.NumRows()), "row"), *e.Rows), nil)
	}
	j.columns(got)
	for _, c := range []struct {
		key  string
		rows *TestRows
	}{{"equals", e.Equals}, {"contains", e.Contains}} {
		if c.rows == nil {
			continue
		}
		want, err := c.rows.objects(ctx, j.graph.env.For(j.label))
		if err != nil {
			return fmt.Errorf("%s: %w", c.key, err)
		}
		j.compare(c.key, want, got)
	}
	return nil
}

func (j *judgement) compare(key string, want []configs.Object, got frame.Frame) {
	c := &comparison{want: want, got: got, tolerance: j.expect.Tolerance}
	var message string
	var diffs []RowDiff
	if key == "equals" {
		message, diffs = c.equal(j.expect.AnyOrder)
	} else {
		message, diffs = c.contains()
	}
	if message != "" {
		j.fail(key, message, diffs)
	}
}

// errors looks for the error that is expected.
func (j *judgement) errors() {
	want := j.expect.Error
	if want == "" {
		return
	}
	var seen []error
	if j.failed != nil {
		seen = append(seen, j.failed)
	}
	for _, r := range j.graph.rejected[j.label] {
		seen = append(seen, r.Err)
	}
	for _, err := range seen {
		if strings.Contains(err.Error(), want) {
			return
		}
	}
	if len(seen) == 0 {
		j.fail("error", fmt.Sprintf("nothing failed, and an error with %q is expected", want), nil)
		return
	}
	f := j.fail("error", fmt.Sprintf("the error does not have %q in it: %v", want, seen[0]), nil)
	f.Traceback = Traceback(seen[0])
}

// deadLetters counts the rows that were set aside here, or before a sink.
func (j *judgement) deadLetters() {
	if j.expect.DeadLetter == nil {
		return
	}
	var rows int64
	var last error
	all := j.graph.file.spots()[j.label].sink
	for label, rejected := range j.graph.rejected {
		if label != j.label && !all {
			continue
		}
		for _, r := range rejected {
			if !r.Drop {
				rows += r.Frame.NumRows()
				last = r.Err
			}
		}
	}
	if want := *j.expect.DeadLetter; rows != want {
		message := fmt.Sprintf("%s went to the dead letter, not %d", plural(int(rows), "row"), want)
		if last != nil {
			message += ": " + firstLine(last)
		}
		j.fail("dead_letter", message, nil)
	}
}

// columns looks for the columns that are expected.
func (j *judgement) columns(got frame.Frame) {
	var have []string
	for _, f := range got.Schema().Fields() {
		have = append(have, f.Name)
	}
	for _, p := range j.expect.Columns {
		key := strings.TrimPrefix(keyPath("columns", p.Name), ".")
		_, field, ok := frame.Lookup(got, p.Name)
		if !ok {
			text := "there is no such column"
			if hint := configs.DidYouMean(p.Name, have); hint != "" {
				text += "; " + hint
			}
			j.fail(key, text, nil)
			continue
		}
		want, _ := frame.ParseType(p.Value) // checked when the file was loaded
		want.Name = p.Name
		if is, name := frame.TypeName(field), frame.TypeName(want); is != name {
			j.fail(key, fmt.Sprintf("the type is %s, not %s", is, name), nil)
		}
	}
}

// frame is all that came by, without columns where nothing did.
func (s *sight) frame() (frame.Frame, error) {
	if len(s.frames) == 0 {
		return frame.Empty(arrow.NewSchema(nil, nil)), nil
	}
	filled := slices.DeleteFunc(slices.Clone(s.frames), func(f frame.Frame) bool { return f.NumRows() == 0 })
	if len(filled) == 0 {
		return s.frames[0], nil
	}
	return frame.Concat(filled...)
}
