package index

import "context"

// Active is how many tasks of a job run or may be claimed: those that are RUNNING, and
// those PENDING that are not held.
func (x *Index) Active(ctx context.Context, job string) (n int64, err error) {
	err = x.read(ctx, func(r *reader) error {
		j, ok, err := r.jobOf(job)
		if err != nil || !ok {
			return err
		}
		dims := []dim{{dimState, running}}
		err = r.each("SELECT DISTINCT queue, lane FROM counts WHERE state = ? AND held = 0 AND n > 0", []any{pending}, func(scan scanner) error {
			var queue, lane int64
			err := scan(&queue, &lane)
			dims = append(dims, dim{dimWait, laned(queue, lane)})
			return err
		})
		if err != nil {
			return err
		}
		return r.scan(&plan{direction: 1, lo: j.base, hi: j.base + j.room, and: [][]dim{dims}}, func(_ int64, s *set) (bool, error) {
			n += s.count()
			return true, nil
		})
	})
	return n, err
}
