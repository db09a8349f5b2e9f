package index

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"slices"
	"strings"
)

// taskColumns are in the order of the table.
const (
	taskColumns = `pos, seq, state, queue, lane, held, submitted, not_before, started, ended, changed,
	attempt, worker, host, cause, message, size, ref, user, system, rss, moved_to, moved_from, expires`
	taskWidth     = 24
	storedColumns = "pos, seq, state, queue, lane, held, not_before, worker, message, size, ref"
)

// stored is of a task what says in which sets and sums it is.
type stored struct {
	pos, seq, state, queue, lane, held, notBefore, worker int64
	message                                               string
	size                                                  int64
	ref                                                   []byte
}

func scanStored(r []driver.Value) stored {
	return stored{number(r[0]), number(r[1]), number(r[2]), number(r[3]), number(r[4]), number(r[5]), number(r[6]), number(r[7]),
		text(r[8]), number(r[9]), bytes.Clone(blob(r[10]))}
}

// work is a task that has changed.
type work struct {
	pos int64
	job *job
	*change
	old  *stored
	next stored
}

// putTasks brings in the changes of tasks.
func (w *writer) putTasks(changes []*change) error {
	var all []work
	for _, c := range changes {
		if c.kind != taskRecord {
			continue
		}
		j := w.jobs[c.id]
		if j == nil {
			if c.gone {
				continue
			}
			var err error
			if j, err = w.stub(c.id, c.row); err != nil {
				return err
			}
		}
		if int64(c.n) >= j.room {
			if !c.gone { // or it was of a larger job of the same id
				w.damaged++
			}
			continue
		}
		all = append(all, work{pos: j.base + int64(c.n), job: j, change: c})
	}
	slices.SortFunc(all, func(a, b work) int { return cmp.Compare(a.pos, b.pos) })
	if err := w.loadTasks(all); err != nil {
		return err
	}
	for i := range all {
		if err := w.changeTask(&all[i]); err != nil {
			return err
		}
	}
	return w.writeTasks(all)
}

// loadTasks reads what is stored of tasks.
func (w *writer) loadTasks(all []work) error {
	at := 0
	args := make([]any, group)
	for from := 0; from < len(all); from += group {
		part := all[from:min(from+group, len(all))]
		n := len(part)
		if n > 1 {
			n = group
		}
		for i := range n {
			args[i] = part[min(i, len(part)-1)].pos
		}
		err := w.c.query("SELECT "+storedColumns+" FROM tasks WHERE pos IN ("+marks(n)+") ORDER BY pos", args[:n], func(r []driver.Value) error {
			s := scanStored(r)
			for all[at].pos != s.pos {
				at++
			}
			all[at].old = &s
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// changeTask changes sets and sums.
func (w *writer) changeTask(t *work) error {
	if t.old != nil {
		if t.old.seq >= int64(t.seq) {
			t.job = nil
			return nil
		}
		w.tally(t.job, t.old, -1, t.gone)
		if t.old.message != "" && (t.gone || t.old.message != t.row.message) {
			if err := w.putWords("task_words", t.pos, textOfMessage(t.old.message), -1); err != nil {
				return err
			}
		}
	}
	if t.gone {
		return nil
	}
	r := t.row
	queue, err := w.name(r.queue)
	if err != nil {
		return err
	}
	worker, err := w.name(r.worker)
	if err != nil {
		return err
	}
	t.next = stored{t.pos, r.seq, r.state, queue, r.lane, r.held, r.notBefore, worker, r.message, r.size, r.ref}
	w.tally(t.job, &t.next, 1, t.old == nil)
	if r.first > 0 && (t.job.started == 0 || r.first < t.job.started) {
		t.job.started = r.first
	}
	t.job.ended = max(t.job.ended, r.ended)
	if r.message != "" && (t.old == nil || t.old.message != r.message) {
		return w.putWords("task_words", t.pos, textOfMessage(r.message), 1)
	}
	return nil
}

// tally brings a task into sets and sums, or with -1 takes it out; whole says that also
// with what does not change while it is there.
func (w *writer) tally(j *job, t *stored, sign int64, whole bool) {
	if whole {
		w.setBit(dim{dimTask, 0}, t.pos, sign)
		for _, d := range j.dims() {
			w.setBit(d, t.pos, sign)
		}
	}
	j.tasks += sign
	j.lack()
	j.counts[t.state] += sign
	w.dirty[j] = true
	w.setBit(dim{dimState, t.state}, t.pos, sign)
	w.setBit(dim{dimQueue, t.queue}, t.pos, sign)
	if t.worker != 0 {
		w.setBit(dim{dimWorker, t.worker}, t.pos, sign)
	}
	switch {
	case t.state == pending && t.held == 0:
		w.setBit(dim{dimWait, laned(t.queue, t.lane)}, t.pos, sign)
	case t.state == pending && t.notBefore == 0:
		w.setBit(dim{dimHeld, laned(j.ownerID, t.lane)}, t.pos, sign)
	}
	w.count(countKey{j.ownerID, t.queue, t.lane, t.state, t.held}, sign, sign*j.share())
	if t.size != 0 {
		w.ownerAdds(j.ownerID, ownerSum{bytes: sign * t.size})
	}
	w.refer(t.ref, sign)
}

// writeTasks writes the rows.
func (w *writer) writeTasks(all []work) error {
	rows := make([]*work, 0, len(all))
	for i := range all {
		switch t := &all[i]; {
		case t.job == nil:
		case !t.gone:
			rows = append(rows, t)
		case t.old != nil:
			if err := w.c.exec("DELETE FROM tasks WHERE pos = ?", t.pos); err != nil {
				return err
			}
		}
	}
	one := "(" + marks(taskWidth) + ")"
	many := "INSERT OR REPLACE INTO tasks VALUES" + strings.Repeat(one+",", group-1) + one
	args := make([]any, 0, group*taskWidth)
	for len(rows) > 0 {
		n, text := 1, "INSERT OR REPLACE INTO tasks VALUES"+one
		if len(rows) >= group {
			n, text = group, many
		}
		args = args[:0]
		for _, t := range rows[:n] {
			var err error
			if args, err = w.appendRow(args, t); err != nil {
				return err
			}
		}
		if err := w.c.exec(text, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (w *writer) appendRow(args []any, t *work) ([]any, error) {
	r := t.row
	host, err := w.name(r.host)
	if err != nil {
		return nil, err
	}
	expires := int64(0)
	if t.job.ttl > 0 && r.ended > 0 && r.state != pending && r.state != running && r.state != deferred {
		expires = r.ended + t.job.ttl
	}
	var ref any = r.ref
	if len(r.ref) == 0 {
		ref = nil
	}
	return append(args, t.pos, r.seq, r.state, t.next.queue, r.lane, r.held, r.submitted, r.notBefore, r.started, r.ended, r.changed,
		r.attempt, t.next.worker, host, r.cause, r.message, r.size, ref, r.user, r.system, r.rss, r.movedTo, r.movedFrom, expires), nil
}
