package index

import (
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// plan is a filter as sets: an intersection of unions, and of what a text is found in.
type plan struct {
	direction int64 // 1 is ascending
	lo, hi    int64 // positions, hi not included
	and       [][]dim
	words     []string // "" is no text
	jobsOnly  bool     // the text is that of jobs, and the positions are those of jobs
}

func (p *plan) none() bool { return p.lo >= p.hi }

// what is looked for.
type what int

const (
	theTasks what = iota
	theJobs       // by what is known of jobs
	jobsByTasks
)

// plan makes a filter a plan, without its states where these are to be told apart.
func (r *reader) plan(f Filter, w what) (*plan, error) {
	p := &plan{direction: -1, words: words(f.Text), jobsOnly: w != theTasks}
	if f.Oldest {
		p.direction = 1
	}
	if _, err := r.one("SELECT next FROM state", nil, &p.hi); err != nil {
		return nil, err
	}
	if err := r.bound(p, f, w != theTasks); err != nil {
		return nil, err
	}
	for _, s := range f.States {
		if !s.Known() {
			return nil, fmt.Errorf("%q is not a state of tasks: those are %v", s, tasks.States)
		}
	}
	for _, named := range []struct {
		name string
		dim  int64
	}{{f.Worker, dimWorker}, {f.Queue, dimQueue}, {f.Owner, dimOwner}} {
		if named.name == "" {
			continue
		}
		id, ok, err := r.id(named.name)
		if err != nil {
			return nil, err
		}
		if !ok {
			p.hi = p.lo
		}
		p.and = append(p.and, []dim{{named.dim, id}})
	}
	if f.Name != "" {
		p.and = append(p.and, []dim{{dimName, hash(f.Name)}})
	}
	for k, v := range f.Labels {
		p.and = append(p.and, []dim{{dimLabel, hash(k, v)}})
	}
	switch {
	case w == theJobs:
		p.and = append(p.and, []dim{{dimJob, 0}})
	case len(f.States) == 0:
		p.and = append(p.and, []dim{{dimTask, 0}})
	default:
		p.and = append(p.and, statesDim(f.States))
	}
	return p, nil
}

func statesDim(states []tasks.State) []dim {
	var ds []dim
	for _, s := range states {
		ds = append(ds, dim{dimState, int64(stateCode(s))})
	}
	return ds
}

// bound sets lo and hi by what says where tasks stand.
func (r *reader) bound(p *plan, f Filter, jobs bool) error {
	if f.Job != "" {
		j, ok, err := r.jobOf(f.Job)
		if err != nil {
			return err
		}
		p.lo, p.hi = j.base, j.base+j.room
		if !ok {
			p.hi = p.lo
		}
	}
	for _, b := range []struct {
		at   time.Time
		into func(base int64)
	}{
		{f.Since, func(base int64) { p.lo = max(p.lo, base) }},
		{f.Until, func(base int64) { p.hi = min(p.hi, base) }},
	} {
		if b.at.IsZero() {
			continue
		}
		base := int64(1)<<62 - 1
		if _, err := r.one("SELECT base FROM jobs WHERE time >= ? ORDER BY time, base LIMIT 1", []any{nanos(b.at)}, &base); err != nil {
			return err
		}
		b.into(base)
	}
	if f.After == "" {
		return nil
	}
	pos, err := r.seek(f.After, jobs && p.direction > 0)
	if err != nil {
		return err
	}
	if p.direction > 0 {
		p.lo = max(p.lo, pos+1)
	} else {
		p.hi = min(p.hi, pos)
	}
	return nil
}

// scan calls f with the positions of a plan, chunk by chunk in its direction, until f is
// false. f may change what it is given.
func (r *reader) scan(p *plan, f func(chunk int64, s *set) (bool, error)) (err error) {
	if p.none() {
		return nil
	}
	var all []source
	defer func() {
		for _, s := range all {
			s.close()
		}
	}()
	lo, hi := chunkOf(p.lo), chunkOf(p.hi-1)
	for _, dims := range p.and {
		u, err := newUnion(r, dims, p.direction, lo, hi)
		if err != nil {
			return err
		}
		all = append(all, u)
	}
	if len(p.words) > 0 {
		h, err := newHits(r, p.words, p.jobsOnly, p.direction, p.lo, p.hi)
		if err != nil {
			return err
		}
		all = append(all, h)
	}
	at := hi
	if p.direction > 0 {
		at = lo
	}
	for {
		together, ok, err := meet(all, at, p.direction)
		if err != nil || !ok {
			return err
		}
		at = together
		s, err := intersect(all)
		if err != nil {
			return err
		}
		start := at << chunkBits
		if p.lo > start || p.hi < start+chunkSize {
			var within set
			within.addRange(p.lo-start, p.hi-start)
			s.and(&within)
		}
		if !s.empty() {
			if on, err := f(at, &s); err != nil || !on {
				return err
			}
		}
		at += p.direction
	}
}

// meet brings sources to the first chunk from at on that all have.
func meet(all []source, at, direction int64) (chunk int64, ok bool, err error) {
	for i := 0; i < len(all); {
		if err := all[i].seek(at); err != nil {
			return 0, false, err
		}
		c, ok := all[i].head()
		switch {
		case !ok:
			return 0, false, nil
		case c == at:
			i++
		default:
			at, i = c, 0
		}
	}
	return at, true, nil
}

func intersect(all []source) (s set, err error) {
	if err := all[0].into(&s); err != nil {
		return s, err
	}
	for _, o := range all[1:] {
		var other set
		if err := o.into(&other); err != nil {
			return s, err
		}
		s.and(&other)
	}
	return s, nil
}

// positions are the first limit of a plan.
func (r *reader) positions(p *plan, limit int) ([]int64, error) {
	var found []int64
	err := r.scan(p, func(chunk int64, s *set) (bool, error) {
		return s.each(p.direction < 0, func(bit int) bool {
			found = append(found, chunk<<chunkBits+int64(bit))
			return len(found) < limit
		}), nil
	})
	return found, err
}
