package index

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// kind is which sort of record a change is one of.
type kind int

const (
	other kind = iota
	taskRecord
	jobRecord
	envRecord
	damagedRecord
)

// change is a record without what the index does not keep.
type change struct {
	kind kind
	seq  uint64
	gone bool
	id   string // of the job, or subject of the environment
	n    int

	task *tasks.Task // for subscribers; the writer has row
	row  *row
	job  *jobRow
	refs []byte // of an environment
}

// row is a task as the file has it.
type row struct {
	seq                                                  int64
	state, lane, held                                    int64
	owner, queue, worker, host                           string
	submitted, notBefore, started, ended, changed, first int64 // first: when its first attempt began
	attempt                                              int64
	cause, message                                       string
	size                                                 int64
	ref                                                  []byte
	user, system, rss                                    int64
	movedTo, movedFrom                                   string
}

// jobRow is what a job's record says.
type jobRow struct {
	seq                     int64
	owner, queue, name      string
	labels                  map[string]string
	created, notBefore, ttl int64
	n, array, lane          int64
	dependsOn               []string
	maxRunning              int64
	retriedFrom             string
	dropped, deleted        int64
	bytes                   int64
	refs                    []byte
}

// changesOf reads records, several at a time where there are many.
func changesOf(records []broker.Record) []change {
	changes := make([]change, len(records))
	part := max(256, (len(records)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for from := 0; from < len(records); from += part {
		to := min(from+part, len(records))
		read := func() {
			for i := from; i < to; i++ {
				changes[i] = changeOf(records[i])
			}
		}
		if to == len(records) {
			read()
		} else {
			all.Go(read)
		}
	}
	all.Wait()
	return changes
}

func changeOf(r broker.Record) change {
	c := change{seq: r.Seq, gone: r.Data == nil}
	sort, name, _ := strings.Cut(strings.TrimPrefix(r.Subject, "rp."), ".")
	switch sort {
	case "s":
		c.kind = taskRecord
		var err error
		if c.id, c.n, err = tasks.ParseID(name); err != nil || c.n == 0 {
			c.kind = damagedRecord
			return c
		}
		if c.gone {
			c.task = &tasks.Task{Job: c.id, N: c.n, State: tasks.Missing, Rev: r.Seq}
			return c
		}
		t := new(tasks.Task)
		if json.Unmarshal(r.Data, t) != nil || !t.State.Known() || t.Job != c.id || t.N != c.n {
			c.kind = damagedRecord
			return c
		}
		t.Rev = r.Seq
		c.task, c.row = t, rowOf(t, r.Time)
	case "j":
		c.kind, c.id = jobRecord, name
		if c.gone {
			return c
		}
		j := new(tasks.Job)
		if json.Unmarshal(r.Data, j) != nil || j.ID != name || j.N < 0 || j.N > maxTasks {
			c.kind = damagedRecord
			return c
		}
		c.job = jobRowOf(j, r.Seq)
	case "e":
		c.kind, c.id = envRecord, r.Subject
		e := new(tasks.Environment)
		if !c.gone && json.Unmarshal(r.Data, e) != nil {
			c.kind = damagedRecord
			return c
		}
		for _, s := range e.Sources {
			c.refs = appendRef(c.refs, s.Ref)
		}
	}
	return c
}

func rowOf(t *tasks.Task, changed time.Time) *row {
	r := &row{
		seq: int64(t.Rev), state: int64(stateCode(t.State)), lane: int64(t.Lane), owner: t.Owner, queue: t.Queue,
		submitted: nanos(t.Submitted), notBefore: nanos(t.NotBefore), started: nanos(t.Started), ended: nanos(t.Ended),
		changed: nanos(changed), attempt: int64(t.Attempt), size: t.Result.Size, ref: appendRef(nil, t.Result.Ref),
		user: int64(t.Usage.User), system: int64(t.Usage.System), rss: t.Usage.PeakRSS,
		movedTo: t.MovedTo, movedFrom: t.MovedFrom,
	}
	r.size = max(r.size, int64(len(t.Result.Data)))
	r.first = r.started
	if t.Held && t.State == tasks.Pending {
		r.held = 1
	}
	if len(t.Past) > 0 {
		last := t.Past[len(t.Past)-1]
		r.worker, r.host = last.Worker, last.Host
		r.first = nanos(t.Past[0].Started)
	}
	if t.Lease != nil {
		r.worker, r.host = t.Lease.Worker, t.Lease.Host
	}
	if t.Failure != nil {
		r.cause, r.message = t.Failure.Cause, cut(t.Failure.Message, MaxMessage)
	}
	return r
}

func jobRowOf(j *tasks.Job, seq uint64) *jobRow {
	r := &jobRow{
		seq: int64(seq), owner: j.Owner, queue: j.Queue, name: j.Name, labels: j.Labels,
		created: nanos(j.Created), notBefore: nanos(j.NotBefore), ttl: int64(j.ResultTTL), n: int64(j.N), lane: int64(j.Lane),
		dependsOn: needs(j), maxRunning: int64(j.MaxRunning), retriedFrom: j.RetriedFrom,
		dropped: int64(j.Dropped.Len()), bytes: sizeOf(j.Call.Code), refs: appendRef(nil, j.Call.Code.Ref),
	}
	if j.Array {
		r.array = 1
	}
	if j.Deleted {
		r.deleted = 1
	}
	for _, a := range j.Call.Args {
		r.bytes += sizeOf(a.Value)
		r.refs = appendRef(r.refs, a.Value.Ref)
	}
	for _, ref := range j.Over.Blocks {
		r.refs = appendRef(r.refs, ref)
	}
	r.refs = appendRef(r.refs, j.Over.NamesRef)
	r.bytes += j.Over.Size
	return r
}

// needs are the tasks and jobs that j depends on. One that retries tasks waits for none,
// and has the results of some as arguments all the same.
func needs(j *tasks.Job) []string {
	all := slices.Clone(j.DependsOn)
	for _, a := range j.Call.Args {
		if a.Task != "" {
			all = append(all, a.Task)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func sizeOf(v tasks.Value) int64 { return max(v.Size, int64(len(v.Data))) }

// refBytes is how long the name of a blob is: SHA-256.
const refBytes = 32

// appendRef appends the bytes of a blob's name; what is no such name is no blob.
func appendRef(refs []byte, ref string) []byte {
	if len(ref) != 2*refBytes {
		return refs
	}
	b, err := hex.DecodeString(ref)
	if err != nil {
		return refs
	}
	return append(refs, b...)
}

// codes are the numbers of states in the file: their places in tasks.States.
var codes = func() map[tasks.State]int {
	m := map[tasks.State]int{}
	for i, s := range tasks.States {
		m[s] = i
	}
	return m
}()

func stateCode(s tasks.State) int { return codes[s] }

var (
	pending  = int64(stateCode(tasks.Pending))
	deferred = int64(stateCode(tasks.Deferred))
	running  = int64(stateCode(tasks.Running))
)

// nanos is a time as the file has it. Those that do not fit are the last that do.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 2261:
		return math.MaxInt64
	case t.Year() < 1970:
		return 1
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// cut is s, or its first bytes where it is longer; always valid UTF-8.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n -= len("…"); n > 0 && !utf8.RuneStart(s[n]); {
		n--
	}
	return s[:n] + "…"
}
