package tables

import (
	"context"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// opened is a dataset in one run: of all joins that name the same one, there is
// one table.
type opened struct {
	name   string
	source sources.Source

	mu       sync.Mutex
	reader   sources.Reader // nil once it was read to its end, or closed
	schema   *frame.Schema  // nil where it is not known before the first row
	size     sources.Size
	identity map[string]string

	columns map[string]bool // those that joins ask for; nil is all
	asked   bool            // some join has asked
	limit   int64           // the largest of the joins' limits
	table   frame.Frame     // once it is loaded
	err     error           // why it cannot be
}

// opens is what a run has opened, by key.
type opens struct {
	mu  sync.Mutex
	all map[string]*opened
}

type opensKey struct{}

// open opens a dataset, or finds it where the run has opened it before. Its
// reader is closed with env.
func open(ctx context.Context, env *stages.Env, d *Dataset) (*opened, error) {
	key, err := d.key()
	if err != nil {
		return nil, err
	}
	v, err := env.Shared(opensKey{}, func() (any, error) { return &opens{all: map[string]*opened{}}, nil })
	if err != nil {
		return nil, err
	}
	o := v.(*opens)
	o.mu.Lock()
	defer o.mu.Unlock()
	if found := o.all[key]; found != nil {
		return found, nil
	}
	source, err := d.source(ctx, env)
	if err != nil {
		return nil, err
	}
	t := &opened{name: d.name(), source: source}
	if err := t.open(ctx, env); err != nil {
		return nil, err
	}
	o.all[key] = t
	env.OnClose(t.close)
	return t, nil
}

// open begins to read.
func (t *opened) open(ctx context.Context, env *stages.Env) error {
	r, err := t.source.Open(ctx, env, "")
	if err != nil {
		return err
	}
	t.reader, t.schema, t.size = r, r.Schema(), r.Size()
	if i, ok := r.(sources.Identifier); ok {
		t.identity = i.Identity()
	}
	return nil
}

// close may be called more than once.
func (t *opened) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reader != nil {
		t.reader.Close()
		t.reader = nil
	}
}

// take is a reader at the beginning of the dataset, which the caller closes: the
// one that told the columns, or another where that is read already, or where a
// Parquet file has columns besides those that are wanted. Those cost nothing
// then; other sources read them anyhow.
func (t *opened) take(ctx context.Context, env *stages.Env, columns []string) (sources.Reader, error) {
	source := t.source
	if p, ok := source.(*sources.Parquet); ok && len(columns) > 0 && len(columns) < t.schema.NumFields() {
		narrow := *p
		narrow.Columns = columns
		source = &narrow
	}
	r := t.reader
	t.reader = nil
	switch {
	case r != nil && source == t.source:
		return r, nil
	case r != nil:
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	return source.Open(ctx, env, "")
}

// ask says what a join needs of the table, before any join loads it. A nil list
// of columns is all.
func (t *opened) ask(columns []string, limit int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = max(t.limit, limit)
	switch {
	case columns == nil:
		t.columns = nil
	case !t.asked || t.columns != nil:
		if t.columns == nil {
			t.columns = map[string]bool{}
		}
		for _, c := range columns {
			t.columns[c] = true
		}
	}
	t.asked = true
}

// wanted are the columns that joins ask for, in the table's order, as far as the
// columns are known.
func (t *opened) wanted() []string {
	if t.schema == nil {
		return nil
	}
	var names []string
	for _, f := range t.schema.Fields() {
		if t.columns == nil || t.columns[f.Name] {
			names = append(names, f.Name)
		}
	}
	return names
}
