package tasks

import (
	"crypto/sha256"
	"encoding/hex"
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
	EnvSubjects    = "rp.e.>" // rp.e.<name>: Environment, the newest version; rp.e.<name>.<version>: each
	WorkerSubjects = "rp.c.>" // rp.c.<name>: WorkerConfig
	KeySubjects    = "rp.k.>" // rp.k.<hash of owner and key>: the job of an idempotency key
	TimerSubjects  = "rp.r.>" // rp.r.<schedule>: what is kept of a schedule
	RunSubjects    = "rp.h.>" // rp.h.<schedule>.<run>: its runs
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

// QueueSubject is where the settings of a queue are.
func QueueSubject(queue string) string { return "rp.q." + queue }

// OwnerSubject is where the limits of an owner are, whose name may be any text.
func OwnerSubject(owner string) string { return "rp.o." + hex.EncodeToString([]byte(owner)) }

// EnvSubject is where an environment is: its newest version where version is 0.
func EnvSubject(name string, version int) string {
	if version == 0 {
		return "rp.e." + name
	}
	return "rp.e." + name + "." + strconv.Itoa(version)
}

// ParseEnv cuts name@version, whose version is 0 where there is none; "" is default.
func ParseEnv(env string) (name string, version int, err error) {
	name, number, pinned := strings.Cut(env, "@")
	if name == "" && !pinned {
		return DefaultEnv, 0, nil
	}
	if err := CheckName("an environment", name); err != nil {
		return "", 0, err
	}
	if !pinned {
		return name, 0, nil
	}
	version, err = strconv.Atoi(number)
	if err != nil || version < 1 {
		return "", 0, fmt.Errorf("%q is not an environment: its version must be a number from 1, as in %s@1", env, name)
	}
	return name, version, nil
}

// WorkerConfigSubject is where named settings of workers are.
func WorkerConfigSubject(name string) string { return "rp.c." + name }

// KeySubject is where the id of the job with an idempotency key of an owner is.
func KeySubject(owner, key string) string {
	h := sha256.Sum256([]byte(strconv.Itoa(len(owner)) + " " + owner + key))
	return "rp.k." + hex.EncodeToString(h[:])
}

// MessageSubject is where a worker listens for messages.
func MessageSubject(worker string) string { return "rp.m." + worker }

// WorkerKey is the presence of a worker, a Worker in JSON; WorkerKeys begin all.
func WorkerKey(worker string) string { return WorkerKeys + worker }

// WorkerKeys is what the keys of workers begin with.
const WorkerKeys = "worker."

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
