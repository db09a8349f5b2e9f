package index

import (
	"context"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks"
)

// Queued are tasks of an owner, or of a job, that may be claimed, in the order in which
// they are best taken back: the last lane first, and in it the last submitted.
func (x *Index) Queued(ctx context.Context, owner, job string, limit int) (rows []TaskRow, err error) {
	err = x.read(ctx, func(r *reader) error {
		p, err := r.plan(Filter{Owner: owner, Job: job, States: []tasks.State{tasks.Pending}}, theTasks)
		if err != nil || p.none() {
			return err
		}
		var positions []int64
		for lane := int64(tasks.Lanes) - 1; lane >= 0 && len(positions) < limit; lane-- {
			var dims []dim
			err := r.each("SELECT DISTINCT queue FROM counts WHERE state = ? AND held = 0 AND lane = ? AND n > 0", []any{pending, lane}, func(scan scanner) error {
				var queue int64
				err := scan(&queue)
				dims = append(dims, dim{dimWait, laned(queue, lane)})
				return err
			})
			if err != nil {
				return err
			}
			if len(dims) == 0 {
				continue
			}
			found, err := r.positions(&plan{direction: -1, lo: p.lo, hi: p.hi, and: append(p.and[:len(p.and):len(p.and)], dims)}, limit-len(positions))
			if err != nil {
				return err
			}
			positions = append(positions, found...)
		}
		rows, err = r.taskRows(positions)
		return err
	})
	return rows, err
}

// Awaited are the tasks and jobs that unfinished jobs depend on: those with tasks that
// have not ended, or are still to be written.
func (x *Index) Awaited(ctx context.Context) (map[string]bool, error) {
	awaited := map[string]bool{}
	err := x.read(ctx, func(r *reader) error {
		return r.each("SELECT depends_on, counts, missing FROM jobs WHERE depends_on <> '' AND deleted = 0", nil, func(scan scanner) error {
			var ids, text string
			var missing int64
			if err := scan(&ids, &text, &missing); err != nil {
				return err
			}
			counts := countsOf(text)
			if counts[pending]+counts[deferred]+counts[running]+missing > 0 {
				for id := range strings.FieldsSeq(ids) {
					awaited[id] = true
				}
			}
			return nil
		})
	})
	return awaited, err
}
