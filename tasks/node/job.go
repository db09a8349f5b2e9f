package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

const (
	// jobsKept is how many jobs without a task here are remembered.
	jobsKept = 64
	// blocksKept is how many blocks of elements of a job are.
	blocksKept = 4
	// largeBlock is how large one may be to be in memory.
	largeBlock = 32 << 20
	writeFor   = 30 * time.Second // a call of the broker may take so long
)

// job is what tasks of one job here have in common.
type job struct {
	*tasks.Job
	envName    string
	envVersion int   // 0 is the newest at each claim
	envErr     error // its name makes no sense

	refs int       // tasks here; guarded by jobCache.mu
	used time.Time // guarded by jobCache.mu

	mu      sync.Mutex // guards what follows
	plan    *rpool.TaskPlan
	release []func() // of files that the plan needs
	blocks  map[int]blob.Block
	away    error     // why values could not be reached, last
	awayAt  time.Time // when that was known
}

// wait locks j.mu. The error is why whoever had it meanwhile could not reach values: who has
// waited for him has waited long enough.
func (j *job) wait() error {
	began := time.Now()
	j.mu.Lock()
	if j.awayAt.After(began) {
		return j.away
	}
	return nil
}

// tried notes why values could not be reached. j.mu is held.
func (j *job) tried(err error) {
	if away := new(awayError); errors.As(err, &away) {
		j.away, j.awayAt = err, time.Now()
	}
}

// jobCache are the jobs whose tasks this worker has, or has had lately.
type jobCache struct {
	n    *Node
	mu   sync.Mutex
	jobs map[string]*job
}

// hold is the job id, where it is known; else nil. release gives it back.
func (c *jobCache) hold(id string) *job {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.jobs[id]
	if j != nil {
		j.refs++
	}
	return j
}

// learn is the job of a record, to be given back as what hold gives; nil where there is
// none any more.
func (c *jobCache) learn(r broker.Record) (*job, error) {
	if r.Seq == 0 || len(r.Data) == 0 {
		return nil, nil
	}
	j := &job{Job: new(tasks.Job), refs: 1}
	if err := json.Unmarshal(r.Data, j.Job); err != nil {
		return nil, fmt.Errorf("the record %s cannot be read: %w", r.Subject, err)
	}
	j.envName, j.envVersion, j.envErr = tasks.ParseEnv(j.Call.Env)
	if j.envErr != nil {
		j.envName = tasks.DefaultEnv
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.jobs[j.ID]; known != nil {
		known.refs++
		return known, nil
	}
	if c.jobs == nil {
		c.jobs = make(map[string]*job)
	}
	c.jobs[j.ID] = j
	return j, nil
}

// again is the job of j's id as it is now, in place of j: another one may have been
// submitted with the id, or the key, of one that was deleted. Where it fails, it is j.
func (c *jobCache) again(ctx context.Context, j *job) (*job, error) {
	r, err := c.n.b.Get(ctx, tasks.JobSubject(j.ID))
	if err != nil && !errors.Is(err, broker.ErrNotFound) {
		return j, err
	}
	var now tasks.Job
	if err == nil && json.Unmarshal(r.Data, &now) == nil && now.Created.Equal(j.Created) {
		return j, nil
	}
	c.mu.Lock()
	if c.jobs[j.ID] == j {
		delete(c.jobs, j.ID)
	}
	c.mu.Unlock()
	c.release(j)
	return c.learn(r)
}

// release gives back what hold has given, once.
func (c *jobCache) release(j *job) {
	if j == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	j.refs--
	j.used = time.Now()
	if j.refs == 0 && c.jobs[j.ID] != j {
		j.drop()
		return
	}
	if len(c.jobs) <= jobsKept {
		return
	}
	var oldest *job
	for _, o := range c.jobs {
		if o.refs == 0 && (oldest == nil || o.used.Before(oldest.used)) {
			oldest = o
		}
	}
	if oldest != nil {
		delete(c.jobs, oldest.ID)
		oldest.drop()
	}
}

func (c *jobCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobs {
		j.drop()
	}
	c.jobs = nil
}

// envSubject is where the record of the job's environment is.
func (j *job) envSubject() string { return tasks.EnvSubject(j.envName, j.envVersion) }

// key tells the job from others, of the same id too.
func (j *job) key() string { return j.ID + "-" + strconv.FormatInt(j.Created.UnixNano(), 36) }

// drop lets go of the job's files.
func (j *job) drop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, release := range j.release {
		release()
	}
	j.release, j.plan = nil, nil
}

// number is which element of the job a task has: a retried one has that of the first of
// its chain.
func number(t *tasks.Task) int {
	if t.Origin != "" {
		return t.RootN
	}
	return t.N
}

// call is what R is asked for a task. What it returns besides is to be called when the
// request is over.
func (n *Node) call(ctx context.Context, h *held) (*rpool.TaskCall, func(), error) {
	plan, err := n.plan(ctx, h.job)
	if err != nil {
		return nil, nil, err
	}
	c := &rpool.TaskCall{
		Plan: plan, ID: h.id, Worker: n.o.ID, Attempt: h.task.Attempt,
		Result: n.scratch("result-" + h.nonce),
	}
	done := func() {}
	if len(h.job.Over.Blocks) > 0 {
		if c.Element, c.ElementFile, err = n.element(ctx, h); err != nil {
			return nil, nil, fmt.Errorf("the element of the task: %w", err)
		}
		if c.ElementFile != "" {
			done = func() { _ = os.Remove(c.ElementFile) }
		}
	}
	return c, done, nil
}

// element is that of a task, in memory or in a file.
func (n *Node) element(ctx context.Context, h *held) ([]byte, string, error) {
	j, i := h.job, number(&h.task)-1
	if j.Over.PerBlock < 1 || i < 0 || i/j.Over.PerBlock >= len(j.Over.Blocks) {
		return nil, "", fmt.Errorf("there is none of number %d in %d blocks of %d", i+1, len(j.Over.Blocks), j.Over.PerBlock)
	}
	at, i := i/j.Over.PerBlock, i%j.Over.PerBlock
	away := j.wait()
	defer j.mu.Unlock()
	b, known := j.blocks[at]
	if !known {
		if away != nil {
			return nil, "", away
		}
		ref := j.Over.Blocks[at]
		var data []byte
		err := n.patiently(ctx, func() (err error) {
			data, err = n.s.Bytes(ctx, ref, largeBlock)
			return err
		})
		if errors.Is(err, blob.ErrTooLarge) {
			path, err := n.cutOut(ctx, ref, i, h.nonce)
			j.tried(err)
			return nil, path, err
		}
		j.tried(err)
		if err != nil {
			return nil, "", err
		}
		if b, err = blob.ReadBlock(data); err != nil {
			return nil, "", err
		}
		if j.blocks == nil || len(j.blocks) >= blocksKept {
			j.blocks = make(map[int]blob.Block)
		}
		j.blocks[at] = b
	}
	if i >= b.Len() {
		return nil, "", fmt.Errorf("its block has %d elements, and not %d", b.Len(), i+1)
	}
	return b.At(i), "", nil
}

// plan is the job's, with its arguments at hand.
func (n *Node) plan(ctx context.Context, j *job) (*rpool.TaskPlan, error) {
	away := j.wait()
	defer j.mu.Unlock()
	if j.plan != nil {
		return j.plan, nil
	}
	if away != nil {
		return nil, away
	}
	p := &rpool.TaskPlan{
		Key: j.key(), Text: j.Call.Text, Expr: j.Call.Kind == tasks.CallExpr,
		Over: j.Over.Name, Rows: j.Over.Rows, Packages: j.Call.Packages,
	}
	var release []func()
	err := func() (err error) {
		if j.Call.Kind == tasks.CallHTTP {
			return errors.New("a request to an API runs in the proxy that took it, and that is gone")
		}
		if p.Code, err = n.value(ctx, j.Call.Code, &release); err != nil {
			return fmt.Errorf("the code of the task: %w", err)
		}
		for i, a := range j.Call.Args {
			arg := rpool.TaskArg{Name: a.Name}
			if a.Task != "" {
				arg.TaskValue, err = n.resultOf(ctx, a.Task, j.key(), i, &release)
			} else {
				arg.TaskValue, err = n.value(ctx, a.Value, &release)
			}
			if err != nil {
				return fmt.Errorf("argument %s of the task: %w", argumentName(a.Name, i), err)
			}
			p.Args = append(p.Args, arg)
		}
		return nil
	}()
	if err != nil {
		for _, f := range release {
			f()
		}
		j.tried(err)
		return nil, err
	}
	j.plan, j.release = p, release
	return p, nil
}

func argumentName(name string, i int) string {
	if name != "" {
		return name
	}
	return fmt.Sprint(i + 1)
}

// value is v for R. A blob is a file on this machine, until release is called.
func (n *Node) value(ctx context.Context, v tasks.Value, release *[]func()) (rpool.TaskValue, error) {
	if v.Ref == "" {
		return rpool.TaskValue{Data: v.Data}, nil
	}
	var path string
	var done func()
	err := n.patiently(ctx, func() (err error) {
		path, done, err = n.s.File(ctx, v.Ref)
		return err
	})
	if err != nil {
		return rpool.TaskValue{}, err
	}
	*release = append(*release, done)
	info, err := os.Stat(path)
	if err != nil {
		return rpool.TaskValue{}, err
	}
	return rpool.TaskValue{File: path, Key: v.Ref, Size: info.Size()}, nil
}
