package index

import (
	"context"

	"github.com/rpipe-dev/rpipe/tasks"
)

// Counts is how many tasks there are by state; no zeros. It reads counters where only
// Job, or only Owner, Queue and States are set, and counts bits otherwise. Limit, After
// and Oldest mean nothing to it.
func (x *Index) Counts(ctx context.Context, f Filter) (counts map[tasks.State]int64, err error) {
	f.After, f.Oldest = "", false
	err = x.read(ctx, func(r *reader) error {
		if f.Job == "" && f.Name == "" && f.Worker == "" && len(f.Labels) == 0 && f.Text == "" && f.Since.IsZero() && f.Until.IsZero() {
			counts, err = r.summed(f)
		} else {
			counts, err = r.counted(f)
		}
		return err
	})
	return counts, err
}

// summed reads the counters.
func (r *reader) summed(f Filter) (map[tasks.State]int64, error) {
	counts := map[tasks.State]int64{}
	p, err := r.plan(f, theTasks)
	if err != nil || p.none() {
		return counts, err
	}
	query, args := "SELECT state, sum(n) FROM counts WHERE n > 0", []any(nil)
	for _, or := range p.and {
		switch or[0].dim {
		case dimOwner:
			query, args = query+" AND owner = ?", append(args, or[0].val)
		case dimQueue:
			query, args = query+" AND queue = ?", append(args, or[0].val)
		case dimState:
			var states []int64
			for _, d := range or {
				states = append(states, d.val)
			}
			query += " AND state IN (" + list(states) + ")"
		}
	}
	return counts, r.each(query+" GROUP BY state", args, func(scan scanner) error {
		var state, n int64
		if err := scan(&state, &n); err != nil {
			return err
		}
		counts[tasks.States[state]] = n
		return nil
	})
}

// counted counts the bits of each state.
func (r *reader) counted(f Filter) (map[tasks.State]int64, error) {
	counts := map[tasks.State]int64{}
	p, err := r.plan(f, theTasks)
	if err != nil || p.none() {
		return counts, err
	}
	states := f.States
	if len(states) == 0 {
		states = tasks.States
	}
	in := map[tasks.State]*union{}
	defer func() {
		for _, u := range in {
			u.close()
		}
	}()
	for _, s := range states {
		if in[s] == nil {
			if in[s], err = newUnion(r, statesDim([]tasks.State{s}), p.direction, chunkOf(p.lo), chunkOf(p.hi-1)); err != nil {
				delete(in, s)
				return nil, err
			}
		}
	}
	err = r.scan(p, func(chunk int64, found *set) (bool, error) {
		for s, u := range in {
			if err := u.seek(chunk); err != nil {
				return false, err
			}
			if at, ok := u.head(); !ok || at != chunk {
				continue
			}
			var of set
			if err := u.into(&of); err != nil {
				return false, err
			}
			of.and(found)
			if n := of.count(); n > 0 {
				counts[s] += n
			}
		}
		return true, nil
	})
	return counts, err
}

// Position is how many tasks are claimed before this one, if nothing changes: those in
// lanes before its own, and those that were submitted to its lane before it. It is -1
// for a task that is not PENDING, or is held, or is not there. Only Job and N of t count.
func (x *Index) Position(ctx context.Context, t TaskRow) (ahead int64, err error) {
	ahead = -1
	err = x.read(ctx, func(r *reader) error {
		j, ok, err := r.jobOf(t.Job)
		if err != nil || !ok || t.N < 1 || int64(t.N) >= j.room {
			return err
		}
		var state, queue, lane, held, before int64
		ok, err = r.one("SELECT state, queue, lane, held FROM tasks WHERE pos = ?", []any{j.base + int64(t.N)}, &state, &queue, &lane, &held)
		if err != nil || !ok || state != pending || held != 0 {
			return err
		}
		_, err = r.one("SELECT coalesce(sum(n), 0) FROM counts WHERE queue = ? AND state = ? AND held = 0 AND lane < ?", []any{queue, pending, lane}, &before)
		if err != nil {
			return err
		}
		err = r.scan(&plan{direction: 1, hi: j.base + int64(t.N), and: [][]dim{{{dimWait, laned(queue, lane)}}}}, func(_ int64, s *set) (bool, error) {
			before += s.count()
			return true, nil
		})
		ahead = before
		return err
	})
	return ahead, err
}

// QueueStat is what is in a queue.
type QueueStat struct {
	Pending  int64 `json:"pending"` // with those that are held
	Held     int64 `json:"held"`
	Deferred int64 `json:"deferred"`
	Running  int64 `json:"running"`
	Ended    int64 `json:"ended"` // whatever came of them
	Bytes    int64 `json:"bytes"` // of arguments of those PENDING and DEFERRED
}

// QueueStats is what is in each queue that has had tasks since the file was made.
func (x *Index) QueueStats(ctx context.Context) (map[string]QueueStat, error) {
	stats := map[string]QueueStat{}
	err := x.read(ctx, func(r *reader) error {
		return r.each("SELECT queue, state, held, sum(n), sum(bytes) FROM counts GROUP BY queue, state, held", nil, func(scan scanner) error {
			var queue, state, held, n, bytes int64
			if err := scan(&queue, &state, &held, &n, &bytes); err != nil {
				return err
			}
			name, err := r.name(queue)
			if err != nil {
				return err
			}
			s := stats[name]
			switch state {
			case pending:
				s.Pending += n
				s.Bytes += bytes
				if held == 1 {
					s.Held += n
				}
			case deferred:
				s.Deferred += n
				s.Bytes += bytes
			case running:
				s.Running += n
			default:
				s.Ended += n
			}
			stats[name] = s
			return nil
		})
	})
	return stats, err
}

// OwnerStat is what an owner has.
type OwnerStat struct {
	Counts  map[tasks.State]int64 `json:"counts"`
	Held    int64                 `json:"held"`    // of those PENDING
	Jobs    int64                 `json:"jobs"`    // all
	Running int64                 `json:"running"` // jobs with tasks that run
	Bytes   int64                 `json:"bytes"`   // of arguments and results; a value used twice counts twice
}

// OwnerStats is what an owner has; the zero OwnerStat where that is nothing.
func (x *Index) OwnerStats(ctx context.Context, owner string) (stat OwnerStat, err error) {
	err = x.read(ctx, func(r *reader) error {
		id, ok, err := r.id(owner)
		if err != nil || !ok {
			return err
		}
		if stat.Counts, err = r.summed(Filter{Owner: owner}); err != nil {
			return err
		}
		if _, err := r.one("SELECT coalesce(sum(n), 0) FROM counts WHERE owner = ? AND held = 1", []any{id}, &stat.Held); err != nil {
			return err
		}
		_, err = r.one("SELECT jobs, running, bytes FROM owners WHERE owner = ?", []any{id}, &stat.Jobs, &stat.Running, &stat.Bytes)
		return err
	})
	return stat, err
}

// Owners are all that have jobs or tasks, sorted.
func (x *Index) Owners(ctx context.Context) ([]string, error) {
	return x.strings(ctx, `SELECT name FROM names WHERE id IN (SELECT owner FROM owners WHERE jobs > 0 UNION SELECT owner FROM counts WHERE n > 0) ORDER BY name`)
}

func (x *Index) strings(ctx context.Context, query string, args ...any) (all []string, err error) {
	err = x.read(ctx, func(r *reader) error {
		return r.each(query, args, func(scan scanner) error {
			var s string
			err := scan(&s)
			all = append(all, s)
			return err
		})
	})
	return all, err
}
