package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// follow is how often a task may have been retried, and recordsAtOnce how many are read.
const (
	follow        = 1000
	recordsAtOnce = 500
)

// goneError says that what a task depends on is not there any more.
type goneError struct{ id string }

func (e *goneError) Error() string {
	return fmt.Sprintf("it depends on %s, which is no more: it was deleted, or its result has expired", e.id)
}

// resultOf is the result of the task id for argument i of the job of a key, or the list of
// those of the job id.
func (n *Node) resultOf(ctx context.Context, id, of string, i int, release *[]func()) (rpool.TaskValue, error) {
	var none rpool.TaskValue
	parent, number, err := tasks.ParseID(id)
	if err != nil {
		return none, err
	}
	var j tasks.Job
	if number == 0 {
		r, err := n.b.Get(ctx, tasks.JobSubject(parent))
		if errors.Is(err, broker.ErrNotFound) || err == nil && r.Data == nil {
			return none, &goneError{parent}
		}
		if err != nil {
			return none, fmt.Errorf("job %s: %w", parent, err)
		}
		if err := json.Unmarshal(r.Data, &j); err != nil {
			return none, fmt.Errorf("job %s: %w", parent, err)
		}
		if number = 1; j.Array {
			number = 0
		}
	}
	if number > 0 {
		v, err := n.complete(ctx, parent, number)
		if err != nil {
			return none, err
		}
		return n.value(ctx, v, release)
	}

	v := rpool.TaskValue{File: n.scratch(fmt.Sprintf("arg-%s-%d", of, i)), Count: j.N}
	if v.Names, err = n.names(ctx, &j.Over); err != nil {
		return none, err
	}
	if err := os.MkdirAll(filepath.Dir(v.File), 0o755); err != nil {
		return none, err
	}
	f, err := os.Create(v.File)
	if err != nil {
		return none, err
	}
	*release = append(*release, func() { _ = os.Remove(v.File) })
	w := bufio.NewWriterSize(f, 256<<10)
	err = n.copyResults(ctx, w, &j)
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return none, err
	}
	info, err := os.Stat(v.File)
	if err != nil {
		return none, err
	}
	v.Size = info.Size()
	return v, nil
}

// copyResults writes the results of all tasks of a job, one after the other.
func (n *Node) copyResults(ctx context.Context, w io.Writer, j *tasks.Job) error {
	for first := 1; first <= j.N; first += recordsAtOnce {
		last := min(first+recordsAtOnce-1, j.N)
		subjects := make([]string, 0, last-first+1)
		for k := first; k <= last; k++ {
			subjects = append(subjects, tasks.TaskSubject(j.ID, k))
		}
		records, err := n.b.GetAll(ctx, subjects)
		if err != nil {
			return err
		}
		for k, r := range records {
			v, err := n.completeIn(ctx, r, tasks.TaskID(j.ID, first+k))
			if err != nil {
				return err
			}
			if v.Ref == "" {
				if _, err := w.Write(v.Data); err != nil {
					return err
				}
				continue
			}
			if err := n.copyBlob(ctx, w, v.Ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyBlob writes a value: from a file on this machine, so that what w has stays right
// where the store is away for a while.
func (n *Node) copyBlob(ctx context.Context, w io.Writer, ref string) error {
	var path string
	var done func()
	err := n.patiently(ctx, func() (err error) {
		path, done, err = n.s.File(ctx, ref)
		return err
	})
	if err != nil {
		return err
	}
	defer done()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// complete is the result of a task, or of the last that replaced it.
func (n *Node) complete(ctx context.Context, job string, number int) (tasks.Value, error) {
	r, err := n.b.Get(ctx, tasks.TaskSubject(job, number))
	if err != nil && !errors.Is(err, broker.ErrNotFound) {
		return tasks.Value{}, err
	}
	return n.completeIn(ctx, r, tasks.TaskID(job, number))
}

func (n *Node) completeIn(ctx context.Context, r broker.Record, id string) (tasks.Value, error) {
	for range follow {
		if r.Seq == 0 || r.Data == nil {
			return tasks.Value{}, &goneError{id}
		}
		var t tasks.Task
		if err := json.Unmarshal(r.Data, &t); err != nil {
			return tasks.Value{}, fmt.Errorf("task %s: %w", id, err)
		}
		switch {
		case t.State == tasks.Complete:
			return t.Result, nil
		case t.State != tasks.Moved:
			return tasks.Value{}, fmt.Errorf("task %s is %s", id, t.State)
		}
		job, number, err := tasks.ParseID(t.MovedTo)
		if err != nil {
			return tasks.Value{}, err
		}
		id = t.MovedTo
		if r, err = n.b.Get(ctx, tasks.TaskSubject(job, number)); err != nil && !errors.Is(err, broker.ErrNotFound) {
			return tasks.Value{}, err
		}
	}
	return tasks.Value{}, fmt.Errorf("task %s was retried too often", id)
}

// names are those of the elements of a job, nil for none.
func (n *Node) names(ctx context.Context, o *tasks.Over) ([]string, error) {
	if o.NamesRef == "" {
		return o.Names, nil
	}
	var data []byte
	err := n.patiently(ctx, func() (err error) {
		data, err = n.s.Bytes(ctx, o.NamesRef, 1<<30)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("names of the elements: %w", err)
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("names of the elements: %w", err)
	}
	return names, nil
}

// cutOut writes item i of a large block to a file, without the rest in memory.
func (n *Node) cutOut(ctx context.Context, ref string, i int, name string) (string, error) {
	path := n.scratch("element-" + name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	err := n.patiently(ctx, func() error {
		r, _, err := n.s.Open(ctx, ref)
		if err != nil {
			return err
		}
		defer r.Close()
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		return errors.Join(blob.CopyItem(f, r, i), f.Close())
	})
	if err != nil {
		_ = os.Remove(path)
	}
	return path, err
}
