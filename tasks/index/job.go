package index

import (
	"database/sql/driver"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks"
)

// maxTasks is how many positions a job has whose record is not there yet.
const maxTasks = 1 << 27

// job is a row of jobs, as the writer has it in memory.
type job struct {
	jobRow
	id         string
	base, room int64
	time       int64
	ownerID    int64
	queueID    int64

	tasks          int64
	missing        int64
	counts         [16]int64
	started, ended int64

	written     bool  // it is in the file, with the columns that do not change
	ran         bool  // it had tasks that run, when it was last written
	had, lacked int64 // tasks and missing, when it was last written
}

// dims are the sets that all tasks of the job are in, and the job.
func (j *job) dims() []dim {
	ds := []dim{{dimOwner, j.ownerID}}
	if j.name != "" {
		ds = append(ds, dim{dimName, hash(j.name)})
	}
	for k, v := range j.labels {
		ds = append(ds, dim{dimLabel, hash(k, v)})
	}
	return ds
}

// share is what a task counts of the bytes of its job's arguments.
func (j *job) share() int64 { return j.bytes / max(j.n, 1) }

// lack sets how many tasks are missing, or, where the job itself is, are too many.
func (j *job) lack() {
	j.missing = j.tasks
	if j.seq > 0 {
		j.missing = max(j.n-j.dropped-j.tasks, j.deleted, 0)
	}
}

// dim is what a set is of: a dimension and a value in it.
type dim struct{ dim, val int64 }

// The dimensions. Tasks are at their positions, jobs at their own.
const (
	dimTask   = iota + 1 // all tasks
	dimJob               // all jobs whose record is there
	dimState             // tasks by state
	dimOwner             // tasks and jobs
	dimQueue             // tasks, and jobs by the queue they were submitted to
	dimWorker            // tasks by worker of the last attempt
	dimName              // tasks and jobs, by hash
	dimLabel             // tasks and jobs, by hash of key and value
	dimWait              // tasks PENDING and not held, by queue and lane
	dimHeld              // tasks held without NotBefore, by owner and lane
)

// laned is a value with a lane.
func laned(id, lane int64) int64 { return id<<4 | min(max(lane, 0), 15) }

// hash stands for a name or label: two of the same hash are one in a trillion.
func hash(parts ...string) int64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, p := range parts {
		for i := range len(p) {
			h = (h ^ uint64(p[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // which is in no UTF-8
	}
	return int64(h >> 1)
}

const jobColumns = `base, room, id, seq, name, owner, labels, created, time, n, is_array, queue, lane, depends_on, not_before,
	ttl, max_running, retried_from, dropped, deleted, bytes, refs, tasks, missing, counts, started, ended`

const jobWidth = 27

// scanJob reads jobColumns; names are the ids of owner and queue.
func scanJob(r []driver.Value) *job {
	j := &job{written: true}
	j.base, j.room, j.id, j.seq, j.name = number(r[0]), number(r[1]), text(r[2]), number(r[3]), text(r[4])
	j.ownerID, j.labels, j.created, j.time = number(r[5]), labelsOf(text(r[6])), number(r[7]), number(r[8])
	j.n, j.array, j.queueID, j.lane = number(r[9]), number(r[10]), number(r[11]), number(r[12])
	j.dependsOn, j.notBefore = strings.Fields(text(r[13])), number(r[14])
	j.ttl, j.maxRunning, j.retriedFrom, j.dropped, j.deleted = number(r[15]), number(r[16]), text(r[17]), number(r[18]), number(r[19])
	j.bytes, j.refs = number(r[20]), append([]byte(nil), blob(r[21])...)
	j.tasks, j.missing, j.started, j.ended = number(r[22]), number(r[23]), number(r[25]), number(r[26])
	j.counts = countsOf(text(r[24]))
	j.ran, j.had, j.lacked = j.counts[running] > 0, j.tasks, j.missing
	return j
}

// row is what tells of a job to who asks; owner and queue are names.
func (j *job) row(owner, queue string) JobRow {
	r := JobRow{
		ID: j.id, Name: j.name, Owner: owner, Labels: j.labels, Created: moment(j.created), N: int(j.n), Array: j.array == 1,
		Queue: queue, Lane: tasks.Lane(j.lane), DependsOn: j.dependsOn, NotBefore: moment(j.notBefore),
		Counts: map[tasks.State]int64{}, Started: moment(j.started), Ended: moment(j.ended),
		MaxRunning: int(j.maxRunning), RetriedFrom: j.retriedFrom, Dropped: int(j.dropped), Deleted: j.deleted == 1,
	}
	for i, s := range tasks.States {
		if j.counts[i] > 0 {
			r.Counts[s] = j.counts[i]
		}
	}
	if j.counts[pending]+j.counts[deferred]+j.counts[running] > 0 {
		r.Ended = moment(0)
	}
	return r
}

func labelsText(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	b, _ := json.Marshal(labels)
	return string(b)
}

func labelsOf(s string) map[string]string {
	if s == "" {
		return nil
	}
	var m map[string]string
	_ = json.Unmarshal([]byte(s), &m) // the index wrote it
	return m
}

func countsText(c [16]int64) string {
	var b []byte
	for _, n := range c[:len(tasks.States)] {
		b = append(strconv.AppendInt(b, n, 10), ' ')
	}
	return string(b)
}

func countsOf(s string) (c [16]int64) {
	for i := range c {
		var f string
		f, s, _ = strings.Cut(s, " ")
		c[i], _ = strconv.ParseInt(f, 10, 64)
	}
	return c
}
