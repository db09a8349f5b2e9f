package tables

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// lookup is a join and the columns that its dataset has.
type lookup struct {
	config *Join
	keys   []arrow.Field // of the dataset, in the order of on
	added  []arrow.Field // of the dataset, under its own names
}

// lookup finds the columns that the join names in the dataset.
func (c *Join) lookup(dataset *frame.Schema) (*lookup, error) {
	l := &lookup{config: c}
	isKey := map[string]bool{}
	names := make([]string, len(c.On))
	for i, p := range c.On {
		names[i] = p.Value
		isKey[p.Value] = true
	}
	keys, _, err := frame.SelectSchema(dataset, names)
	if err != nil {
		return nil, fmt.Errorf("on: dataset %s: %w", c.Dataset.name(), err)
	}
	l.keys = keys.Fields()
	switch {
	case !c.adds():
		return l, nil
	case c.Columns != nil:
		added, _, err := frame.SelectSchema(dataset, c.Columns)
		if err != nil {
			return nil, fmt.Errorf("columns: dataset %s: %w", c.Dataset.name(), err)
		}
		l.added = added.Fields()
		return l, nil
	}
	for _, f := range dataset.Fields() {
		if !isKey[f.Name] {
			l.added = append(l.added, f)
		}
	}
	return l, nil
}

// needed are the columns of the dataset that the join uses; nil is all.
func (c *Join) needed() []string {
	if c.adds() && c.Columns == nil {
		return nil
	}
	var needed []string
	for _, p := range c.On {
		needed = append(needed, p.Value)
	}
	return append(needed, c.Columns...)
}

func names(fields []arrow.Field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.Name
	}
	return out
}

// plan is what a join does with a stream of one schema.
type plan struct {
	in      *frame.Schema
	out     *frame.Schema
	added   *frame.Schema // the columns of out that come from the dataset
	keys    []int         // columns of the stream
	matches []match
}

func (l *lookup) plan(in *frame.Schema) (*plan, error) {
	p := &plan{in: in, out: in}
	ours := make([]string, len(l.config.On))
	for i, pair := range l.config.On {
		ours[i] = pair.Name
	}
	_, keys, err := frame.SelectSchema(in, ours)
	if err != nil {
		return nil, fmt.Errorf("on: %w", err)
	}
	p.keys = keys
	for i, k := range keys {
		m, err := matchOf(in.Field(k), l.keys[i])
		if err != nil {
			return nil, err
		}
		p.matches = append(p.matches, m)
	}
	if !l.config.adds() {
		return p, nil
	}
	return p, p.add(in, l)
}

// add puts the dataset's columns behind those of the stream.
func (p *plan) add(in *frame.Schema, l *lookup) error {
	added := make([]arrow.Field, len(l.added))
	taken := map[string]bool{}
	for _, f := range in.Fields() {
		taken[f.Name] = true
	}
	var clashes []string
	for i, f := range l.added {
		if taken[f.Name] {
			if l.config.Suffix == "" {
				clashes = append(clashes, f.Name)
				continue
			}
			f.Name += l.config.Suffix
		}
		f.Nullable = true
		added[i] = f
	}
	if len(clashes) > 0 {
		return fmt.Errorf("both sides have a column %s: say suffix: _right, name the dataset's columns that you want with columns, or add it to on if it must be equal",
			strings.Join(clashes, ", "))
	}
	for _, f := range added {
		if taken[f.Name] {
			return fmt.Errorf("there would be two columns %s: take another suffix", f.Name)
		}
		taken[f.Name] = true
	}
	m := in.Metadata()
	p.added = arrow.NewSchema(added, nil)
	p.out = arrow.NewSchema(append(in.Fields(), added...), &m)
	return nil
}
