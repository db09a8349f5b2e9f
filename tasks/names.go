package tasks

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Subjects in the stream of records.
const (
	TaskSubjects   = "rp.s.>" // rp.s.<job>.<n>: Task
	JobSubjects    = "rp.j.>" // rp.j.<job>: Job
	QueueSubjects  = "rp.q.>" // rp.q.<queue>: QueueConfig
	OwnerSubjects  = "rp.o.>" // rp.o.<owner>: OwnerConfig, the owner in hex
	EnvSubjects    = "rp.e.>" // rp.e.<name>: Environment, the newest version
	WorkerSubjects = "rp.c.>" // rp.c.<name>: WorkerConfig
	KeySubjects    = "rp.k.>" // rp.k.<hash of owner and key>: the job of an idempotency key
)

// TaskID is the id of task n of a job.
func TaskID(job string, n int) string { return job + "." + strconv.Itoa(n) }

// ParseID cuts the id of a task, or of a job, whose n is then 0.
func ParseID(id string) (job string, n int, err error) {
	job, number, dot := strings.Cut(id, ".")
	if !ulidShape.MatchString(job) {
		return "", 0, fmt.Errorf("%q is not the id of a task or job: those look like 01jd3x7v9qk2m4n6p8r0s2t4v6, or 01jd3x7v9qk2m4n6p8r0s2t4v6.1", id)
	}
	if !dot {
		return job, 0, nil
	}
	n, err = strconv.Atoi(number)
	if err != nil || n < 1 || number != strconv.Itoa(n) {
		return "", 0, fmt.Errorf("%q is not the id of a task: its number must be 1 or more", id)
	}
	return job, n, nil
}

var ulidShape = regexp.MustCompile(`^[0-7][0-9a-hjkmnp-tv-z]{25}$`)

// TaskSubject is where the record of a task is.
func TaskSubject(job string, n int) string { return "rp.s." + job + "." + strconv.Itoa(n) }

// JobSubject is where the record of a job is.
func JobSubject(job string) string { return "rp.j." + job }

// nameShape is what queues, environments, worker configurations and workers may be called.
var nameShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// CheckName says why name cannot be that of a queue, an environment, a worker or a
// worker configuration; what says which, for the message.
func CheckName(what, name string) error {
	if nameShape.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q cannot be the name of %s: use at most 64 letters, digits, - and _, a letter or digit first", name, what)
}
