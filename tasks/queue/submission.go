package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
)

// Submission is what is submitted.
type Submission struct {
	// Job has the fields that a user may set: all but Owner, Created, N, Array,
	// Over.Blocks, RetriedFrom and what belongs to it, Dropped and Deleted. ID may be the
	// submitter's own; the same one again is the same job. Values larger than
	// tasks.MaxInline become blobs. Its Lane is tasks.Front unless it is set.
	Job tasks.Job
	// Array says that there is a task for each element. Elements are R streams, in
	// memory, or yielded by Each, which may be more than memory holds.
	Array    bool
	Elements [][]byte
	Each     iter.Seq2[[]byte, error]
}

// Limits of a submission.
const (
	maxName     = 256
	maxLabels   = 64
	maxLabel    = 256 // bytes of a label's name or value
	maxKey      = 256
	maxArgs     = 1000
	maxParents  = 10000
	maxPackages = 200
	maxRetries  = 1000
	maxAhead    = 10 * 365 * 24 * time.Hour
)

var packageShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.]*$`)

// check makes the job of a submission, or says what is wrong with it.
func (q *Queue) check(ctx context.Context, who Who, s *Submission) (*tasks.Job, error) {
	j := s.Job
	j.Owner, j.Created, j.Array = who.Owner, time.Now().UTC().Truncate(time.Millisecond), s.Array
	j.RetriedFrom, j.Origin, j.Deleted, j.N = "", "", false, 0
	j.Numbers, j.OriginNumbers, j.Dropped = tasks.Numbers{}, tasks.Numbers{}, tasks.Numbers{}
	j.Over.Blocks, j.Over.PerBlock, j.Over.Size = nil, 0, 0
	j.Labels, j.DependsOn, j.Call.Args = maps.Clone(j.Labels), slices.Clone(j.DependsOn), slices.Clone(j.Call.Args)
	if j.ID == "" {
		j.ID = newID()
	}
	if j.Queue == "" {
		j.Queue = tasks.DefaultQueue
	}
	if j.ResultTTL == 0 {
		j.ResultTTL = time.Duration(q.resultTTL.Load())
	}
	for _, check := range []func(*tasks.Job) error{checkNames, checkLimits, checkCall} {
		if err := check(&j); err != nil {
			return nil, err
		}
	}
	if err := checkElements(s, &j); err != nil {
		return nil, err
	}
	if err := q.checkEnv(ctx, j.Call.Env); err != nil {
		return nil, err
	}
	return &j, nil
}

func newID() string { return strings.ToLower(ulid.Make().String()) }

func checkNames(j *tasks.Job) error {
	if j.Owner == "" {
		return invalid("owner", "there must be one")
	}
	if _, n, err := tasks.ParseID(j.ID); err != nil || n != 0 {
		return invalid("id", "%q is not the id of a job: make a ULID in lower case, or leave it out", j.ID)
	}
	if len(j.Name) > maxName || hasControl(j.Name) || j.Name != "" && strings.TrimSpace(j.Name) == "" {
		return invalid("name", "it must be one line of at most %d bytes", maxName)
	}
	if _, _, err := tasks.ParseID(j.Name); err == nil {
		return invalid("name", "%q is what ids look like: nobody could ask for the job by it", j.Name)
	}
	if len(j.Key) > maxKey {
		return invalid("key", "it has %d bytes, of at most %d: use a hash of it", len(j.Key), maxKey)
	}
	if len(j.Labels) > maxLabels {
		return invalid("labels", "there are %d, of at most %d", len(j.Labels), maxLabels)
	}
	for name, value := range j.Labels {
		if name == "" || len(name) > maxLabel || len(value) > maxLabel || hasControl(name) || hasControl(value) {
			return invalid("labels", "%.40q: name and value must be one line of at most %d bytes, and the name not empty", name, maxLabel)
		}
	}
	if err := tasks.CheckName("a queue", j.Queue); err != nil {
		return invalid("queue", "%v", err)
	}
	if j.Lane < tasks.Front || j.Lane >= tasks.Lanes {
		return invalid("lane", "%d is none: they go from %d to %d", j.Lane, tasks.Front, tasks.Lanes-1)
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, unicode.IsControl)
}

func checkLimits(j *tasks.Job) error {
	for _, d := range []struct {
		field string
		value int64
	}{
		{"timeout", int64(j.Timeout)}, {"cpu", int64(j.CPU)}, {"memory", j.Memory}, {"max_running", int64(j.MaxRunning)},
		{"result_ttl", int64(j.ResultTTL)}, {"retry.delay", int64(j.Retry.Delay)}, {"retry.max_delay", int64(j.Retry.MaxDelay)},
		{"retry.errors", int64(j.Retry.Errors)}, {"retry.timeouts", int64(j.Retry.Timeouts)}, {"retry.lost", int64(j.Retry.Lost)},
	} {
		if d.value < 0 {
			return invalid(d.field, "it must not be negative; 0 is the default")
		}
	}
	if r := j.Retry; max(r.Errors, r.Timeouts, r.Lost) > maxRetries {
		return invalid("retry", "at most %d attempts", maxRetries)
	}
	if m := j.Memory; m > 0 && m < 16<<20 {
		return invalid("memory", "%d bytes are less than R itself needs: give 16 MiB or more", m)
	}
	if ahead := time.Until(j.NotBefore); ahead > maxAhead {
		return invalid("not_before", "%s is more than ten years ahead", j.NotBefore.Format(time.RFC3339))
	}
	return nil
}

func checkCall(j *tasks.Job) error {
	c := &j.Call
	switch c.Kind {
	case tasks.CallFunction, tasks.CallExpr, tasks.CallHTTP:
	default:
		return invalid("call.kind", "%q is none of %s, %s and %s", c.Kind, tasks.CallFunction, tasks.CallExpr, tasks.CallHTTP)
	}
	if c.Code.IsZero() {
		return invalid("call.code", "there is none: give R source text, the name of a function, or a serialized function")
	}
	if len(c.Args) > maxArgs {
		return invalid("call.args", "there are %d, of at most %d: put them into a list", len(c.Args), maxArgs)
	}
	if len(c.Packages) > maxPackages {
		return invalid("call.packages", "there are %d, of at most %d: name them in an environment", len(c.Packages), maxPackages)
	}
	for i, p := range c.Packages {
		if !packageShape.MatchString(p) {
			return invalid(fmt.Sprintf("call.packages[%d]", i), "%.60q is not the name of a package", p)
		}
	}
	if _, _, err := tasks.ParseEnv(c.Env); err != nil {
		return invalid("call.env", "%v", err)
	}
	seen := map[string]bool{}
	for i, a := range c.Args {
		field := fmt.Sprintf("call.args[%d]", i)
		switch {
		case a.Name != "" && seen[a.Name]:
			return invalid(field, "there are two of name %q", a.Name)
		case c.Kind == tasks.CallExpr && a.Name == "":
			return invalid(field, "a variable of an expression must have a name")
		case a.Task != "" && !a.Value.IsZero():
			return invalid(field, "it has a value and a task: give one")
		case a.Task == "" && a.Value.IsZero():
			return invalid(field, "it has no value")
		case a.Task != "" && !slices.Contains(j.DependsOn, a.Task):
			j.DependsOn = append(j.DependsOn, a.Task)
		}
		seen[a.Name] = a.Name != ""
	}
	return nil
}

func checkElements(s *Submission, j *tasks.Job) error {
	if !s.Array {
		if s.Elements != nil || s.Each != nil {
			return invalid("over", "there are elements, but it is not an array job")
		}
		return nil
	}
	if (s.Elements != nil) == (s.Each != nil) {
		return invalid("over", "an array job needs elements, in one way")
	}
	if s.Elements != nil && len(s.Elements) == 0 {
		return invalid("over", "there are no elements, so there is nothing to run")
	}
	if names := j.Over.Names; names != nil && s.Elements != nil && len(names) != len(s.Elements) {
		return invalid("over.names", "there are %d names for %d elements", len(names), len(s.Elements))
	}
	return nil
}

func (q *Queue) checkEnv(ctx context.Context, env string) error {
	name, version, err := tasks.ParseEnv(env)
	if err != nil {
		return invalid("call.env", "%v", err)
	}
	if env == "" || env == tasks.DefaultEnv {
		return nil
	}
	_, err = q.Environment(ctx, name, version)
	if errors.Is(err, ErrMissing) {
		return invalid("call.env", "there is no environment %s: make it first, or leave this out", env)
	}
	return err
}

// checkParents resolves what a job depends on. ready says that all of it is COMPLETE.
func (q *Queue) checkParents(ctx context.Context, who Who, j *tasks.Job) (ready bool, err error) {
	slices.Sort(j.DependsOn)
	j.DependsOn = slices.Compact(j.DependsOn)
	if len(j.DependsOn) == 0 {
		return true, nil
	}
	if len(j.DependsOn) > maxParents {
		return false, invalid("depends_on", "there are %d, of at most %d: depend on a job in place of its tasks", len(j.DependsOn), maxParents)
	}
	keys := make([]key, 0, len(j.DependsOn))
	for _, id := range j.DependsOn {
		k, err := keyOf(id)
		if err != nil {
			return false, invalid("depends_on", "%v", err)
		}
		if k.job == j.ID {
			return false, invalid("depends_on", "the job cannot depend on itself")
		}
		keys = append(keys, k)
	}
	seen, err := q.seen(ctx, who, keys)
	if err != nil {
		return false, err
	}
	for i, id := range j.DependsOn {
		if seen[i] == 0 {
			return false, invalid("depends_on", "there is no task or job %s", id)
		}
	}
	// Jobs are looked at by the leader.
	if slices.ContainsFunc(keys, func(k key) bool { return k.n == 0 }) {
		return false, nil
	}
	ts, err := q.tasksAt(ctx, keys)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(ts, func(t *tasks.Task) bool { return t == nil || t.State != tasks.Complete }), nil
}

// keepValue makes a blob of a value that is too large for a record, or looks for the
// blob that it names.
func (q *Queue) keepValue(ctx context.Context, field string, v *tasks.Value, inline int) error {
	switch {
	case v.Ref != "" && v.Data != nil:
		return invalid(field, "it has both data and a reference: give one")
	case v.Ref != "":
		size, modified, err := q.blobs.Stat(ctx, v.Ref)
		if errors.Is(err, blob.ErrNotFound) {
			return invalid(field, "there is no value %.12s…: put it first", v.Ref)
		}
		if err != nil {
			return err
		}
		v.Size = size
		if time.Since(modified) > q.o.BlobGrace/2 {
			return q.blobs.Renew(ctx, v.Ref)
		}
	case len(v.Data) > inline:
		ref, err := q.blobs.PutBytes(ctx, v.Data)
		if err != nil {
			return err
		}
		*v = tasks.Value{Ref: ref, Size: int64(len(v.Data))}
	case v.Data != nil:
		v.Size = int64(len(v.Data))
	}
	return nil
}
