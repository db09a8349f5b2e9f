package pipeline

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
)

// DeadGroup is the rows of one stage with one error.
type DeadGroup struct {
	Stage string
	Error string // of the last of them
	Rows  int64
	First time.Time
	Last  time.Time
	Runs  []string // in the order in which they were met
}

// Groups counts the rows that the filter takes by stage and error, the most
// frequent first within a stage. Errors that differ in numbers and quoted values
// alone are one.
func (d *DeadLetters) Groups(ctx context.Context, filter DeadFilter) ([]*DeadGroup, error) {
	groups := map[[2]string]*DeadGroup{}
	var all []*DeadGroup
	err := d.Each(ctx, filter, false, func(r *DeadRow) error {
		key := [2]string{r.Stage, sameError(r.Error)}
		g := groups[key]
		if g == nil {
			g = &DeadGroup{Stage: r.Stage, First: r.Time}
			groups[key] = g
			all = append(all, g)
		}
		g.Rows++
		if r.Time.Before(g.First) {
			g.First = r.Time
		}
		if !r.Time.Before(g.Last) {
			g.Last, g.Error = r.Time, r.Error
		}
		if !slices.Contains(g.Runs, r.Run) {
			g.Runs = append(g.Runs, r.Run)
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b *DeadGroup) int {
		if a.Stage != b.Stage {
			return 0 // directories are in the order of stages already
		}
		return int(b.Rows - a.Rows)
	})
	return all, err
}

var changing = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[0-9]+(?:\.[0-9]+)?`)

// sameError is what the errors of one cause have in common.
func sameError(text string) string { return changing.ReplaceAllString(text, "#") }

// MarshalJSON gives the row's own columns under data.
func (r *DeadRow) MarshalJSON() ([]byte, error) {
	var data []byte
	if r.Own != nil && r.Own.NumCols() > 0 && r.Raw == nil {
		data = append(data, '{')
		for i, f := range r.Own.Schema().Fields() {
			if i > 0 {
				data = append(data, ',')
			}
			data = append(frame.AppendQuoted(data, f.Name), ':')
			data = frame.AppendJSON(data, f, r.Own.Column(i), r.Index)
		}
		data = append(data, '}')
	}
	out := struct {
		Run       string          `json:"run"`
		Pipeline  string          `json:"pipeline"`
		Stage     string          `json:"stage"`
		Time      time.Time       `json:"time"`
		Batch     *int64          `json:"batch,omitempty"`
		Row       int64           `json:"row,omitempty"`
		Error     string          `json:"error"`
		Traceback []string        `json:"traceback,omitempty"`
		Attempt   int32           `json:"attempt"`
		Whole     bool            `json:"whole"`
		Raw       *string         `json:"raw,omitempty"`
		Data      json.RawMessage `json:"data,omitempty"`
	}{
		Run: r.Run, Pipeline: r.Pipeline, Stage: r.Stage, Time: r.Time, Row: r.Row, Error: r.Error,
		Traceback: r.Traceback, Attempt: r.Attempt, Whole: r.Whole, Data: data,
	}
	if r.Batch >= 0 {
		out.Batch = &r.Batch
	}
	if r.Raw != nil {
		text := string(r.Raw)
		out.Raw = &text
	}
	return json.Marshal(out)
}
