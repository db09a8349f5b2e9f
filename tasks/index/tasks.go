package index

import (
	"context"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// limit is how many rows a page has.
func (f *Filter) limit() int {
	if f.Limit <= 0 {
		return DefaultLimit
	}
	return min(f.Limit, MaxLimit)
}

// Tasks is a page of tasks, by submission, and the cursor of the next page: "" where
// there is none. A cursor whose task is gone may be an ErrCursor, where the index has
// been made anew since.
func (x *Index) Tasks(ctx context.Context, f Filter) (rows []TaskRow, next string, err error) {
	err = x.read(ctx, func(r *reader) error {
		p, err := r.plan(f, theTasks)
		if err != nil {
			return err
		}
		found, err := r.positions(p, f.limit()+1)
		if err != nil {
			return err
		}
		more := len(found) > f.limit()
		if more {
			found = found[:f.limit()]
		}
		if rows, err = r.taskRows(found); err != nil {
			return err
		}
		if more {
			next = r.cursor(found[len(found)-1], rows[len(rows)-1].ID())
		}
		return nil
	})
	return rows, next, err
}

// taskRows are the tasks at positions, in their order.
func (r *reader) taskRows(positions []int64) ([]TaskRow, error) {
	rows := make([]TaskRow, 0, len(positions))
	at := make(map[int64]int, len(positions))
	var j place
	for i, pos := range positions {
		at[pos] = i
		if !j.has(pos) {
			var err error
			if j, _, err = r.jobAt(pos); err != nil {
				return nil, err
			}
		}
		owner, err := r.name(j.owner)
		if err != nil {
			return nil, err
		}
		rows = append(rows, TaskRow{Job: j.id, N: int(pos - j.base), Name: j.name, Labels: labelsOf(j.labels), Owner: owner})
	}
	for from := 0; from < len(positions); from += 500 {
		part := positions[from:min(from+500, len(positions))]
		err := r.each("SELECT "+taskColumns+" FROM tasks WHERE pos IN ("+list(part)+")", nil, func(scan scanner) error {
			var s scanned
			if err := s.scan(scan); err != nil {
				return err
			}
			return s.into(r, &rows[at[s.pos]])
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// scanned is a row of tasks.
type scanned struct {
	pos, state, queue, worker, host int64
	row
	expires int64
}

func (s *scanned) scan(scan scanner) error {
	return scan(&s.pos, &s.seq, &s.state, &s.queue, &s.lane, &s.held, &s.submitted, &s.notBefore, &s.started, &s.ended, &s.changed,
		&s.attempt, &s.worker, &s.host, &s.cause, &s.message, &s.size, &s.ref, &s.user, &s.system, &s.rss, &s.movedTo, &s.movedFrom, &s.expires)
}

// into fills in what the row says.
func (s *scanned) into(r *reader, t *TaskRow) (err error) {
	t.State, t.Rev, t.Lane, t.Held = tasks.States[s.state], uint64(s.seq), tasks.Lane(s.lane), s.held == 1
	t.Submitted, t.NotBefore, t.Started, t.Ended, t.Changed = moment(s.submitted), moment(s.notBefore), moment(s.started), moment(s.ended), moment(s.changed)
	t.Attempt, t.Cause, t.Message, t.Size = int(s.attempt), s.cause, s.message, s.size
	t.Usage = tasks.Usage{User: time.Duration(s.user), System: time.Duration(s.system), PeakRSS: s.rss}
	t.MovedTo, t.MovedFrom = s.movedTo, s.movedFrom
	if t.Queue, err = r.name(s.queue); err != nil {
		return err
	}
	if t.Worker, err = r.name(s.worker); err != nil {
		return err
	}
	t.Host, err = r.name(s.host)
	return err
}

// ids are those of the tasks at positions, in their order.
func (r *reader) ids(positions []int64) ([]string, error) {
	ids := make([]string, 0, len(positions))
	var j place
	for _, pos := range positions {
		if !j.has(pos) {
			var err error
			if j, _, err = r.jobAt(pos); err != nil {
				return nil, err
			}
		}
		ids = append(ids, j.idOf(pos))
	}
	return ids, nil
}
