package index

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"maps"
	"slices"
	"strings"
)

// putJob brings in the record of a job.
func (w *writer) putJob(id string, r *jobRow) error {
	j := w.jobs[id]
	if j == nil {
		j = &job{id: id, base: w.next, room: r.n + 1}
		w.next += j.room
		w.jobs[id] = j
	} else if j.seq >= r.seq {
		return nil
	}
	w.dirty[j] = true
	same, err := w.same(j, r)
	if err != nil {
		return err
	}
	if same {
		j.seq, j.dropped, j.deleted = r.seq, r.dropped, r.deleted
		j.lack()
		j.written = false
		return nil
	}
	w.register(j, -1)
	was, from := textOfJob(j.name, j.labels), j.base
	if err := w.retally(j, func() error { return w.describe(j, r) }); err != nil {
		return err
	}
	if text := textOfJob(j.name, j.labels); text != was || j.base != from {
		if err := errors.Join(w.putWords("job_words", from, was, -1), w.putWords("job_words", j.base, text, 1)); err != nil {
			return err
		}
	}
	w.register(j, 1)
	return nil
}

// same reports whether the record says of a job what is known already, but for what may
// change.
func (w *writer) same(j *job, r *jobRow) (bool, error) {
	owner, err := w.name(r.owner)
	if err != nil {
		return false, err
	}
	queue, err := w.name(r.queue)
	return j.seq > 0 && j.ownerID == owner && j.queueID == queue && j.name == r.name && maps.Equal(j.labels, r.labels) &&
		j.created == r.created && j.n == r.n && j.ttl == r.ttl && slices.Equal(j.dependsOn, r.dependsOn) &&
		j.bytes == r.bytes && bytes.Equal(j.refs, r.refs), err
}

// describe takes over what the record says.
func (w *writer) describe(j *job, r *jobRow) (err error) {
	if j.time != 0 && (j.created != r.created || j.room <= r.n) {
		if err := w.move(j, max(r.n+1, j.room)); err != nil { // as many as those have that are still to be heard gone
			return err
		}
	}
	j.jobRow = *r
	j.written = false
	w.time = max(w.time, r.created)
	if j.time == 0 {
		j.time = w.time
	}
	j.lack()
	owner, err := w.name(r.owner)
	if err != nil {
		return err
	}
	if j.ran && owner != j.ownerID {
		w.ownerAdds(j.ownerID, ownerSum{running: -1})
		j.ran = false
	}
	j.ownerID = owner
	j.queueID, err = w.name(r.queue)
	return err
}

// move gives a job the next free positions. It is another one than that whose positions it
// has: that was deleted, and this one submitted with its id, or its key.
func (w *writer) move(j *job, room int64) error {
	from, last := j.base, j.base+j.room-1
	j.base, j.room, j.time, j.started, j.ended = w.next, room, 0, 0, 0
	w.next += room
	messages := map[int64]string{}
	err := w.c.query("SELECT pos, message FROM tasks WHERE pos BETWEEN ? AND ? AND message <> ''", []any{from, last}, func(r []driver.Value) error {
		messages[number(r[0])] = textOfMessage(text(r[1]))
		return nil
	})
	for pos, message := range messages {
		err = errors.Join(err, w.putWords("task_words", pos, message, -1), w.putWords("task_words", pos+j.base-from, message, 1))
	}
	return errors.Join(err, w.c.exec("UPDATE tasks SET pos = pos + ? WHERE pos BETWEEN ? AND ?", j.base-from, from, last))
}

// retally takes the tasks of a job out of all sets and sums, calls change, and brings
// them in again.
func (w *writer) retally(j *job, change func() error) error {
	if j.tasks == 0 {
		return change()
	}
	var old []stored
	err := w.c.query("SELECT "+storedColumns+" FROM tasks WHERE pos BETWEEN ? AND ?", []any{j.base, j.base + j.room - 1}, func(r []driver.Value) error {
		old = append(old, scanStored(r))
		return nil
	})
	if err != nil {
		return err
	}
	from := j.base
	for i := range old {
		w.tally(j, &old[i], -1, true)
	}
	if err := change(); err != nil {
		return err
	}
	for i := range old {
		old[i].pos += j.base - from
		w.tally(j, &old[i], 1, true)
	}
	return w.c.exec(`UPDATE tasks SET expires = CASE WHEN ? > 0 AND ended > 0 AND state NOT IN (?, ?, ?) THEN ended + ? ELSE 0 END
		WHERE pos BETWEEN ? AND ?`, j.ttl, pending, deferred, running, j.ttl, j.base, j.base+j.room-1)
}

// register brings a job whose record is there into sets and sums, or with -1 takes it out.
func (w *writer) register(j *job, sign int64) {
	if j.seq == 0 {
		return
	}
	w.setBit(dim{dimJob, 0}, j.base, sign)
	w.setBit(dim{dimQueue, j.queueID}, j.base, sign)
	for _, d := range j.dims() {
		w.setBit(d, j.base, sign)
	}
	w.ownerAdds(j.ownerID, ownerSum{jobs: sign, bytes: sign * j.bytes})
	w.refer(j.refs, sign)
}

// putWords makes a text searchable, or with -1 no longer.
func (w *writer) putWords(table string, pos int64, text string, sign int64) error {
	switch {
	case text == "":
		return nil
	case sign < 0:
		return w.c.exec("DELETE FROM "+table+" WHERE rowid = ?", pos)
	}
	return w.c.exec("INSERT INTO "+table+"(rowid, text) VALUES(?, ?)", pos, text)
}

// dropJob takes out a job whose record has gone. Where it still has tasks, its row stays
// for them.
func (w *writer) dropJob(id string) error {
	j := w.jobs[id]
	if j == nil || j.seq == 0 {
		return nil
	}
	w.register(j, -1)
	j.seq, j.deleted = 0, 0
	j.lack()
	j.written = false
	w.dirty[j] = true
	return nil
}

// stub is the job of a task whose own record has not been seen.
func (w *writer) stub(id string, r *row) (*job, error) {
	j := &job{id: id, base: w.next, room: maxTasks}
	w.next += j.room
	w.jobs[id] = j
	w.dirty[j] = true
	return j, w.describe(j, &jobRow{owner: r.owner, queue: r.queue, created: r.submitted, lane: r.lane})
}

func (w *writer) flushJobs() error {
	for j := range w.dirty {
		if ran := j.counts[running] > 0; ran != j.ran {
			w.ownerAdds(j.ownerID, ownerSum{running: map[bool]int64{true: 1, false: -1}[ran]})
			j.ran = ran
		}
		if err := w.writeJob(j); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) writeJob(j *job) error {
	switch {
	case j.seq == 0 && j.tasks == 0:
		delete(w.jobs, j.id)
		if err := w.putWords("job_words", j.base, textOfJob(j.name, j.labels), -1); err != nil {
			return err
		}
		return w.c.exec("DELETE FROM jobs WHERE base = ?", j.base)
	case !j.written:
		j.written, j.had, j.lacked = true, j.tasks, j.missing
		refs := j.refs
		if refs == nil {
			refs = []byte{}
		}
		return w.c.exec("INSERT OR REPLACE INTO jobs("+jobColumns+") VALUES("+marks(jobWidth)+")",
			j.base, j.room, j.id, j.seq, j.name, j.ownerID, labelsText(j.labels), j.created, j.time, j.n, j.array, j.queueID, j.lane,
			strings.Join(j.dependsOn, " "), j.notBefore, j.ttl, j.maxRunning, j.retriedFrom, j.dropped, j.deleted, j.bytes, refs,
			j.tasks, j.missing, countsText(j.counts), j.started, j.ended)
	case j.tasks != j.had || j.missing != j.lacked:
		j.had, j.lacked = j.tasks, j.missing
		return w.c.exec("UPDATE jobs SET tasks = ?, missing = ?, counts = ?, started = ?, ended = ? WHERE base = ?",
			j.tasks, j.missing, countsText(j.counts), j.started, j.ended, j.base)
	}
	return w.c.exec("UPDATE jobs SET counts = ?, started = ?, ended = ? WHERE base = ?", countsText(j.counts), j.started, j.ended, j.base)
}
