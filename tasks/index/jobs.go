package index

import (
	"context"
	"database/sql/driver"
	"slices"
)

// Jobs is a page of jobs, by submission, as Tasks is one of tasks. With States or
// Worker they are those with a task of which all that is set is true; else Queue is the
// one they were submitted to. Text is only that of their name and labels.
func (x *Index) Jobs(ctx context.Context, f Filter) (rows []JobRow, next string, err error) {
	err = x.read(ctx, func(r *reader) error {
		found, err := r.jobsOf(f, f.limit()+1)
		if err != nil {
			return err
		}
		more := len(found) > f.limit()
		if more {
			found = found[:f.limit()]
		}
		for _, j := range found {
			row, err := r.jobRow(j)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		if more {
			last := found[len(found)-1]
			pos := last.base
			if f.Oldest {
				pos += last.room - 1
			}
			next = r.cursor(pos, last.id)
		}
		return nil
	})
	return rows, next, err
}

// Job is a job with its counts; false where there is none.
func (x *Index) Job(ctx context.Context, id string) (row JobRow, ok bool, err error) {
	err = x.read(ctx, func(r *reader) error {
		j, err := r.job("id = ?", id)
		if err != nil || j == nil || j.seq == 0 {
			return err
		}
		ok = true
		row, err = r.jobRow(j)
		return err
	})
	return row, ok && err == nil, err
}

// job is the first for which a condition is true; nil where there is none.
func (r *reader) job(where string, args ...any) (found *job, err error) {
	err = r.each("SELECT "+jobColumns+" FROM jobs WHERE "+where+" LIMIT 1", args, func(scan scanner) error {
		found, err = readJob(scan)
		return err
	})
	return found, err
}

func readJob(scan scanner) (*job, error) {
	values := make([]any, jobWidth)
	into := make([]any, jobWidth)
	for i := range values {
		into[i] = &values[i]
	}
	if err := scan(into...); err != nil {
		return nil, err
	}
	row := make([]driver.Value, jobWidth)
	for i, v := range values {
		row[i] = v
	}
	return scanJob(row), nil
}

func (r *reader) jobRow(j *job) (JobRow, error) {
	owner, err := r.name(j.ownerID)
	if err != nil {
		return JobRow{}, err
	}
	queue, err := r.name(j.queueID)
	return j.row(owner, queue), err
}

// jobsOf are the first jobs of a filter, limit at most.
func (r *reader) jobsOf(f Filter, limit int) (found []*job, err error) {
	if len(f.States) > 0 || f.Worker != "" {
		return r.jobsByTasks(f, limit)
	}
	p, err := r.plan(f, theJobs)
	if err != nil {
		return nil, err
	}
	bases, err := r.positions(p, limit)
	if err != nil {
		return nil, err
	}
	order := ""
	if p.direction < 0 {
		order = " DESC"
	}
	for part := range slices.Chunk(bases, 500) {
		err := r.each("SELECT "+jobColumns+" FROM jobs WHERE base IN ("+list(part)+") ORDER BY base"+order, nil, func(scan scanner) error {
			j, err := readJob(scan)
			found = append(found, j)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// jobsByTasks are jobs with tasks that match.
func (r *reader) jobsByTasks(f Filter, limit int) (found []*job, err error) {
	text := f.Text
	f.Text = ""
	p, err := r.plan(f, jobsByTasks)
	if err != nil {
		return nil, err
	}
	wanted := words(text)
	var last *job
	err = r.scan(p, func(chunk int64, s *set) (bool, error) {
		start := chunk << chunkBits
		var failed error
		on := s.each(p.direction < 0, func(bit int) bool {
			pos := start + int64(bit)
			if last != nil && pos >= last.base && pos < last.base+last.room {
				return true
			}
			if last, failed = r.job("base <= ? ORDER BY base DESC", pos); failed != nil || last == nil {
				return failed == nil
			}
			if last.seq > 0 && matches(textOfJob(last.name, last.labels), wanted) {
				found = append(found, last)
			}
			return len(found) < limit
		})
		return on, failed
	})
	return found, err
}
