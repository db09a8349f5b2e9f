package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/trace"
)

const (
	// maxInlineArgs is what all arguments together may have in the record of a job.
	maxInlineArgs = 64 << 10
	// maxInlineNames is what the names of elements may.
	maxInlineNames = 32 << 10
	// A block of elements has so many at most, and about so many bytes.
	maxPerBlock = 4096
	blockBytes  = 256 << 10
	// together is up to how many tasks are written with their job in one batch.
	together = 400
)

// Submit keeps a job with its tasks. existing says that the key or id was known, and
// the job is that one. Errors are InvalidError, RefusedError, or of the engine: after
// one of those it may have been kept, and with the same key or id it is safe to submit
// again.
func (q *Queue) Submit(ctx context.Context, who Who, s *Submission) (j *tasks.Job, existing bool, err error) {
	ctx, span := trace.Start(ctx, "submit")
	j, existing, err = q.submit(ctx, who, s)
	if span.On() && err == nil {
		span.Set(trace.String("rpipe.job", j.ID), trace.String("rpipe.queue", j.Queue), trace.Int("rpipe.tasks", j.N), trace.Bool("rpipe.existing", existing))
	}
	span.End(err)
	return j, existing, err
}

func (q *Queue) submit(ctx context.Context, who Who, s *Submission) (j *tasks.Job, existing bool, err error) {
	j, err = q.check(ctx, who, s)
	if err != nil {
		return nil, false, err
	}
	j.Trace, j.TraceState = trace.Header(ctx)
	made := j.ID
	if known, err := q.known(ctx, who, s, j); known != nil || err != nil {
		return known, known != nil, err
	}
	j, existing, err = q.keepNew(ctx, who, s, j)
	if err == nil && !existing && j.Key != "" && (j.ID != made || s.Job.ID != "") {
		return q.keepKey(ctx, j)
	}
	return j, existing, err
}

// keepNew keeps a job that was not known when it was looked for.
func (q *Queue) keepNew(ctx context.Context, who Who, s *Submission, j *tasks.Job) (_ *tasks.Job, existing bool, err error) {
	ready, err := q.checkParents(ctx, who, j)
	if err != nil {
		return nil, false, err
	}
	room, err := q.reserve(ctx, j, s)
	if err != nil {
		return nil, false, err
	}
	defer room.end()
	if err := q.keepCall(ctx, j); err != nil {
		return nil, false, err
	}
	if err := q.keepElements(ctx, j, s, room); err != nil {
		return nil, false, err
	}
	if err := room.grow(ctx, j); err != nil {
		return nil, false, err
	}
	failpoint.Hit("submit-blobs")
	limited, err := q.limited(ctx, j.Owner)
	if err != nil {
		return nil, false, err
	}
	fresh := func(n int) *tasks.Task {
		t := j.New(n)
		if t.State == tasks.Deferred && ready {
			t.State, t.Held = tasks.Pending, j.Holds(j.Created)
		}
		t.Held = t.State == tasks.Pending && (t.Held || limited)
		return t
	}
	last, existing, err := q.keep(ctx, j, fresh)
	if err != nil {
		return nil, false, err
	}
	room.written(last)
	if existing { // somebody else has submitted the same at the same time
		j, _, err = q.job(ctx, j.ID)
		if err == nil && j == nil {
			err = fmt.Errorf("job: %w", ErrMissing)
		}
		return j, true, err
	}
	q.jobs.put(j)
	return j, false, nil
}

// keepKey makes sure that the key of a job that was just kept still stands for it: where
// its id was that of an earlier job, the deletion of that one may have taken it along.
func (q *Queue) keepKey(ctx context.Context, j *tasks.Job) (_ *tasks.Job, existing bool, err error) {
	mine := *j
	if err := q.claimKey(ctx, &mine); err != nil || mine.ID == j.ID {
		return j, false, err
	}
	// Another submission has the key by now, so it is that one that was submitted.
	other, _, err := q.job(ctx, mine.ID)
	if err != nil || other == nil {
		return j, false, err
	}
	if _, err := q.Delete(ctx, Who{Owner: j.Owner}, []string{j.ID}); err != nil {
		return nil, false, err
	}
	return other, true, nil
}

// known is the job that was submitted with the same key or id before. Where a
// submission with this key was cut off before it had kept its job, j takes its id.
func (q *Queue) known(ctx context.Context, who Who, s *Submission, j *tasks.Job) (*tasks.Job, error) {
	if j.Key != "" {
		if err := q.claimKey(ctx, j); err != nil {
			return nil, err
		}
	}
	if j.Key == "" && s.Job.ID == "" {
		return nil, nil
	}
	old, _, err := q.job(ctx, j.ID)
	if old == nil || err != nil {
		return nil, err
	}
	if old.Owner != who.Owner {
		return nil, invalid("id", "it is the id of another job: make a new one")
	}
	if old.Deleted {
		return nil, invalid("id", "the job of this id or key is being deleted: submit again in a moment")
	}
	return old, nil
}

// claimKey writes down which job has the key of j, or gives j that one's id.
func (q *Queue) claimKey(ctx context.Context, j *tasks.Job) error {
	subject := tasks.KeySubject(j.Owner, j.Key)
	for range rounds {
		data, err := json.Marshal(keyRecord{j.ID})
		if err != nil {
			return err
		}
		_, err = q.write(ctx, broker.Write{Subject: subject, Data: data})
		if !errors.Is(err, broker.ErrConflict) {
			return err
		}
		var r keyRecord
		rev, err := q.read(ctx, subject, &r)
		if err != nil {
			return err
		}
		if rev > 0 {
			j.ID = r.Job
			return nil
		}
	}
	return fmt.Errorf("key %q: %w, %d times", j.Key, broker.ErrConflict, rounds)
}

// keyRecord is what an idempotency key stands for.
type keyRecord struct {
	Job string `json:"job"`
}

// keepCall makes blobs of what is too large in the call.
func (q *Queue) keepCall(ctx context.Context, j *tasks.Job) error {
	if err := q.keepValue(ctx, "call.code", &j.Call.Code, tasks.MaxInline); err != nil {
		return err
	}
	left := maxInlineArgs
	for i := range j.Call.Args {
		a := &j.Call.Args[i]
		if a.Task != "" {
			continue
		}
		if err := q.keepValue(ctx, fmt.Sprintf("call.args[%d]", i), &a.Value, min(left, tasks.MaxInline)); err != nil {
			return err
		}
		left -= len(a.Value.Data)
	}
	return nil
}

// keepElements writes the blocks of an array job, as far as there is room, and says how
// many tasks it has.
func (q *Queue) keepElements(ctx context.Context, j *tasks.Job, s *Submission, room *reservation) error {
	if !s.Array {
		j.N = 1
		return nil
	}
	each := s.Each
	if each == nil {
		each = all(s.Elements)
	}
	var block [][]byte
	size := 0
	flush := func() error {
		j.Over.Size += int64(size)
		if err := room.grow(ctx, j); err != nil {
			return err
		}
		ref, err := q.blobs.PutBytes(ctx, blob.WriteBlock(block))
		j.Over.Blocks = append(j.Over.Blocks, ref)
		block, size = block[:0], 0
		return err
	}
	for element, err := range each {
		if err != nil {
			return invalid("over", "element %d: %v", j.N+1, err)
		}
		if j.N++; j.N > q.o.MaxTasks {
			return invalid("over", "there are more than %d elements: submit several jobs, or give each task several elements", q.o.MaxTasks)
		}
		if s.Elements == nil {
			element = slices.Clone(element)
		}
		block, size = append(block, element), size+len(element)
		if j.Over.PerBlock == 0 && (size >= blockBytes || len(block) == maxPerBlock) {
			j.Over.PerBlock = len(block)
		}
		if len(block) == j.Over.PerBlock {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if j.N == 0 {
		return invalid("over", "there are no elements, so there is nothing to run")
	}
	if len(block) > 0 {
		if j.Over.PerBlock == 0 {
			j.Over.PerBlock = len(block)
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return q.keepNames(ctx, j)
}

func all(elements [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, e := range elements {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (q *Queue) keepNames(ctx context.Context, j *tasks.Job) error {
	names := j.Over.Names
	if names == nil {
		return nil
	}
	if len(names) != j.N {
		return invalid("over.names", "there are %d names for %d elements", len(names), j.N)
	}
	data, err := json.Marshal(names)
	if err != nil || len(data) <= maxInlineNames {
		return err
	}
	j.Over.Names = nil
	j.Over.NamesRef, err = q.blobs.PutBytes(ctx, data)
	return err
}

// keep writes the record of a job, those of its tasks, and then their messages. last is
// the sequence number of the last record. existing says that there is a job of this id.
func (q *Queue) keep(ctx context.Context, j *tasks.Job, fresh func(n int) *tasks.Task) (last uint64, existing bool, err error) {
	data, err := json.Marshal(j)
	if err != nil {
		return 0, false, err
	}
	job := broker.Write{Subject: tasks.JobSubject(j.ID), Data: data}
	if j.N <= together {
		return q.keepTogether(ctx, j, job, fresh)
	}
	last, err = q.write(ctx, job)
	if errors.Is(err, broker.ErrConflict) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("submit job %s: %w", j.ID, q.tooLarge(err, len(data)))
	}
	failpoint.Hit("submit-job")
	all := func(yield func(int) bool) {
		for n := 1; n <= j.N && yield(n); n++ {
		}
	}
	seq, err := q.keepTasks(ctx, all, fresh)
	if err == nil {
		err = q.removeDeleted(ctx, j)
	}
	if err != nil {
		return 0, false, fmt.Errorf("submit job %s: %w", j.ID, err)
	}
	return max(seq, last), false, nil
}

func (q *Queue) tooLarge(err error, size int) error {
	if errors.Is(err, broker.ErrTooLarge) {
		return invalid("over", "the job needs a record of %d bytes, which is too much: submit several jobs of fewer elements", size)
	}
	return err
}

// keepTogether writes a small job as one batch.
func (q *Queue) keepTogether(ctx context.Context, j *tasks.Job, job broker.Write, fresh func(n int) *tasks.Task) (last uint64, existing bool, err error) {
	writes := append(make([]broker.Write, 0, j.N+1), job)
	ts := make([]*tasks.Task, j.N)
	for i := range ts {
		ts[i] = fresh(i + 1)
		w, err := newTask(ts[i])
		if err != nil {
			return 0, false, err
		}
		writes = append(writes, w)
	}
	seqs, errs := q.writeAll(ctx, writes)
	if errors.Is(errs[0], broker.ErrConflict) {
		return 0, true, nil
	}
	for i, err := range errs {
		if err != nil && !errors.Is(err, broker.ErrConflict) {
			return 0, false, fmt.Errorf("submit job %s: %w", j.ID, q.tooLarge(err, len(writes[i].Data)))
		}
	}
	failpoint.Hit("submit-records")
	return slices.Max(seqs), false, q.pushNew(ctx, ts, writes[1:], seqs[1:])
}

func newTask(t *tasks.Task) (broker.Write, error) {
	data, err := json.Marshal(t)
	return broker.Write{Subject: tasks.TaskSubject(t.Job, t.N), Data: data}, err
}

// keepTasks writes the records of tasks that are not there yet, and sends the messages
// of one part while the next one is written.
func (q *Queue) keepTasks(ctx context.Context, numbers iter.Seq[int], fresh func(n int) *tasks.Task) (last uint64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make(chan func() error, 1) // sends one
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for send := range parts {
			if err := send(); err != nil {
				cancel(err)
			}
		}
	}()
	for part := range slices.Chunk(slices.Collect(numbers), chunk) {
		ts := make([]*tasks.Task, 0, len(part))
		writes := make([]broker.Write, 0, len(part))
		for _, n := range part {
			t := fresh(n)
			w, err := newTask(t)
			if err != nil {
				cancel(err)
				break
			}
			ts, writes = append(ts, t), append(writes, w)
		}
		seqs, errs := q.writeAll(ctx, writes)
		for _, err := range errs {
			if err != nil && !errors.Is(err, broker.ErrConflict) {
				cancel(fmt.Errorf("write tasks: %w", err))
				break
			}
		}
		if ctx.Err() != nil {
			break
		}
		last = slices.Max(append(seqs, last))
		failpoint.Hit("submit-part")
		parts <- func() error { return q.pushNew(ctx, ts, writes, seqs) }
	}
	close(parts)
	<-sent
	return last, context.Cause(ctx)
}
