package index

import (
	"context"

	"github.com/rpipe-dev/rpipe/tasks"
)

// Cells counts the tasks from to to of a job by state, in parts of size of them each. It
// reads bits, not rows: a hundred thousand tasks take a millisecond or two. What is not
// there is not counted, so nothing is of a job that is not.
func (x *Index) Cells(ctx context.Context, job string, from, to, size int) (cells []map[tasks.State]int64, err error) {
	if from < 1 || to < from || size < 1 {
		return nil, nil
	}
	cells = make([]map[tasks.State]int64, (to-from)/size+1)
	for i := range cells {
		cells[i] = map[tasks.State]int64{}
	}
	err = x.read(ctx, func(r *reader) error {
		j, ok, err := r.jobOf(job)
		if err != nil || !ok {
			return err
		}
		first := j.base + int64(from)
		last := min(j.base+int64(to), j.base+j.room-1)
		for _, s := range tasks.States {
			p := &plan{direction: 1, lo: first, hi: last + 1, and: [][]dim{statesDim([]tasks.State{s})}}
			err := r.scan(p, func(chunk int64, found *set) (bool, error) {
				return found.each(false, func(bit int) bool {
					cells[(chunk<<chunkBits+int64(bit)-first)/int64(size)][s]++
					return true
				}), nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return cells, err
}
