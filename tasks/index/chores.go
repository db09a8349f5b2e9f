package index

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// at are the ids of tasks whose positions a query gives.
func (x *Index) at(ctx context.Context, query string, args ...any) (ids []string, err error) {
	err = x.read(ctx, func(r *reader) error {
		var found []int64
		err := r.each(query, args, func(scan scanner) error {
			var pos int64
			err := scan(&pos)
			found = append(found, pos)
			return err
		})
		if err == nil {
			ids, err = r.ids(found)
		}
		return err
	})
	return ids, err
}

// Due are held tasks whose NotBefore has come, the first of them first.
func (x *Index) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return x.at(ctx, "SELECT pos FROM tasks WHERE held = 1 AND not_before > 0 AND not_before <= ? ORDER BY not_before, pos LIMIT ?", nanos(now), limit)
}

// Expired are tasks that ended longer ago than their job's ResultTTL, the longest first.
func (x *Index) Expired(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return x.at(ctx, "SELECT pos FROM tasks WHERE expires > 0 AND expires <= ? ORDER BY expires, pos LIMIT ?", nanos(now), limit)
}

// Held are tasks of an owner, or of a job, or of all where both are "", that wait for a
// limit and no longer for their NotBefore: by lane, then by submission.
func (x *Index) Held(ctx context.Context, owner, job string, now time.Time, limit int) (rows []TaskRow, err error) {
	err = x.read(ctx, func(r *reader) error {
		p, err := r.plan(Filter{Owner: owner, Job: job, Oldest: true}, theTasks)
		if err != nil || p.none() {
			return err
		}
		owners, err := r.holders(owner)
		if err != nil {
			return err
		}
		type held struct{ lane, pos int64 }
		var all []held
		for lane := range int64(tasks.Lanes) {
			var dims []dim
			for _, o := range owners {
				dims = append(dims, dim{dimHeld, laned(o, lane)})
			}
			if len(dims) == 0 || len(all) >= limit {
				break
			}
			found, err := r.positions(&plan{direction: 1, lo: p.lo, hi: p.hi, and: [][]dim{dims}}, limit)
			if err != nil {
				return err
			}
			for _, pos := range found {
				all = append(all, held{lane, pos})
			}
		}
		query := `SELECT lane, pos FROM tasks WHERE held = 1 AND not_before > 0 AND not_before <= ? AND pos BETWEEN ? AND ?`
		args := []any{nanos(now), p.lo, p.hi - 1}
		if owner != "" {
			query += ` AND ? = (SELECT owner FROM jobs WHERE base <= pos ORDER BY base DESC LIMIT 1)`
			args = append(args, owners[0])
		}
		err = r.each(query+` ORDER BY lane, pos LIMIT ?`, append(args, limit), func(scan scanner) error {
			var h held
			err := scan(&h.lane, &h.pos)
			all = append(all, h)
			return err
		})
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b held) int { return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.pos, b.pos)) })
		var positions []int64
		for _, h := range all[:min(limit, len(all))] {
			positions = append(positions, h.pos)
		}
		rows, err = r.taskRows(positions)
		return err
	})
	return rows, err
}

// holders are the ids of owners with held tasks, or of this one.
func (r *reader) holders(owner string) (ids []int64, err error) {
	if owner != "" {
		id, _, err := r.id(owner)
		return []int64{id}, err
	}
	err = r.each("SELECT DISTINCT owner FROM counts WHERE held = 1 AND n > 0", nil, func(scan scanner) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// HeldOwners are those with held tasks, sorted; some of them may wait for their
// NotBefore alone.
func (x *Index) HeldOwners(ctx context.Context) ([]string, error) {
	return x.strings(ctx, `SELECT name FROM names WHERE id IN (SELECT owner FROM counts WHERE held = 1 AND n > 0) ORDER BY name`)
}

// Incomplete are jobs made before that time, by submission, that have fewer tasks than N
// without Dropped, or are Deleted, and tasks without a job: a submission or a deletion
// that was cut off, or both at the same time. next is the cursor for more, "" at the end.
func (x *Index) Incomplete(ctx context.Context, before time.Time, after string, limit int) (rows []JobRow, next string, err error) {
	err = x.read(ctx, func(r *reader) error {
		var from int64
		if after != "" {
			if from, err = r.seek(after, false); err != nil {
				return err
			}
		}
		var found []*job
		err := r.each("SELECT "+jobColumns+" FROM jobs WHERE missing > 0 AND created < ? AND base > ? ORDER BY base LIMIT ?", []any{nanos(before), from, limit + 1}, func(scan scanner) error {
			j, err := readJob(scan)
			found = append(found, j)
			return err
		})
		if err != nil {
			return err
		}
		if len(found) > limit {
			found = found[:limit]
			next = r.cursor(found[limit-1].base, found[limit-1].id)
		}
		for _, j := range found {
			row, err := r.jobRow(j)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, next, err
}

// BlobRefs is how often those of refs that are used still are.
func (x *Index) BlobRefs(ctx context.Context, refs []string) (map[string]int64, error) {
	used := map[string]int64{}
	err := x.read(ctx, func(r *reader) error {
		for part := range slices.Chunk(refs, 500) {
			var args []any
			for _, ref := range part {
				if b, err := hex.DecodeString(ref); err == nil {
					args = append(args, b)
				}
			}
			if len(args) == 0 {
				continue
			}
			err := r.each("SELECT ref, n FROM blobs WHERE ref IN ("+marks(len(args))+")", args, func(scan scanner) error {
				var ref []byte
				var n int64
				err := scan(&ref, &n)
				used[hex.EncodeToString(ref)] = n
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return used, err
}
