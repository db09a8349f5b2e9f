package tables

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// joiner is a join: its table and the index of it.
type joiner struct {
	config *Join
	from   *opened
	env    *stages.Env
	limit  int64

	loading sync.Mutex    // guards what follows until it is loaded
	lookup  *lookup       // once the dataset is loaded, as what follows
	keys    []arrow.Array // of the table
	columns frame.Frame   // of the table, those that are added

	mu    sync.Mutex
	ready *ready // for the schema of the last batch: as a rule there is one only
}

// stream is one stream through a join.
type stream struct {
	*joiner
	sent  atomic.Bool // something went on
	empty atomic.Pointer[stages.Rows]
}

// ready is a plan and the index for it.
type ready struct {
	plan  *plan
	index *index
}

// stage loads the table while the source begins to read, then joins.
func (j *joiner) stage(ctx context.Context, in <-chan *stages.Rows, out chan<- *stages.Rows) error {
	if err := j.load(ctx); err != nil {
		return err
	}
	s := &stream{joiner: j}
	if err := s.join()(ctx, in, out); err != nil {
		return err
	}
	if b := s.empty.Load(); b != nil && !s.sent.Load() {
		return stages.Send(ctx, out, b) // nothing is left but the schema, which a sink can use
	}
	return nil
}

func (j *stream) join() stages.Stage[frame.Frame, frame.Frame] {
	if j.multiplies() {
		return stages.Chain(0, stages.Parallel(j.env.Parallel, true, j.pair), j.cut)
	}
	return stages.Parallel(j.env.Parallel, true, j.batch)
}

// multiplies reports whether more rows may come out than went in.
func (j *joiner) multiplies() bool {
	return j.config.Duplicates == "all" && j.config.adds()
}

func (j *joiner) load(ctx context.Context) error {
	j.loading.Lock()
	defer j.loading.Unlock()
	if j.lookup != nil {
		return nil
	}
	table, err := j.from.load(ctx, j.env)
	if err != nil {
		return err
	}
	if n := table.NumRows(); j.limit > 0 {
		bytes, index := frame.Bytes(table), indexBytes(n, make([]match, 1))
		if bytes+index > j.limit {
			return fmt.Errorf("dataset %s: it does not fit into max_memory, which is %v: its %d rows take %s, and their index %s; %s",
				j.from.name, configs.Size(j.limit), n, size(bytes), size(index), moreMemory)
		}
	}
	l, err := j.config.lookup(j.from.schema)
	if err != nil {
		return err
	}
	if j.columns, err = frame.Select(table, names(l.added)); err != nil {
		return err
	}
	for _, f := range l.keys {
		a, _, _ := frame.Lookup(table, f.Name)
		j.keys = append(j.keys, a)
	}
	j.lookup = l
	return nil
}

// prepare is the plan and the index for batches like b.
func (j *joiner) prepare(b *stages.Rows) (*ready, error) {
	in := b.Value.Schema()
	j.mu.Lock()
	defer j.mu.Unlock()
	old := j.ready
	if old != nil && (old.plan.in == in || old.plan.in.Equal(in)) {
		return old, nil
	}
	p, err := j.lookup.plan(in)
	if err != nil {
		return nil, stages.At(b, err)
	}
	r := &ready{plan: p}
	if old != nil && slices.Equal(old.plan.matches, p.matches) {
		r.index = old.index
	} else if r.index, err = j.newIndex(p.matches); err != nil {
		return nil, err
	}
	j.ready = r
	return r, nil
}

func (j *joiner) newIndex(matches []match) (*index, error) {
	rows := int(j.columns.NumRows())
	x := newIndex(j.keys, matches, rows)
	if x.shared > 0 && j.config.Duplicates == "error" && j.config.adds() {
		return nil, j.shared(x)
	}
	if j.env.Log != nil {
		j.env.Log.Info("indexed the dataset "+j.from.name, "rows", rows, "keys", len(j.keys), "memory", size(x.bytes()))
	}
	return x, nil
}
