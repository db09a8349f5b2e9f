package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// scheduled is the work of a schedule: one job for each attempt of a run. It has an
// idempotency key made of both, so that who takes the run over follows the same job.
type scheduled struct {
	s     *Server
	file  *File
	c     *Schedule
	owner string
}

// Run implements keeper.Work.
func (w *scheduled) Run(ctx context.Context, run *schedule.Run, tell func(schedule.Outcome), log func(string)) error {
	// What has been asked for is cancelled by its job, which must be known.
	keep := context.WithoutCancel(ctx)
	who := queue.Who{Owner: w.owner}
	job, err := w.submit(keep, ctx.Done(), who, run)
	if err != nil {
		return err
	}
	if run.Job != job.ID {
		tell(schedule.Outcome{Job: job.ID})
		log(fmt.Sprintf("job %s in queue %s", job.ID, job.Queue))
	}
	copied := make(chan struct{})
	copying, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(copied)
		w.copyLog(copying, who, run, job)
	}()
	err = w.await(ctx, who, job)
	if ctx.Err() != nil {
		stop()
	}
	<-copied
	if cause := context.Cause(ctx); err != nil && cause != nil {
		if !errors.Is(cause, keeper.ErrHandover) {
			if _, err := w.s.queue.Cancel(keep, who, []string{job.ID}); err != nil {
				return fmt.Errorf("%w; its job %s cannot be cancelled: %w", cause, job.ID, err)
			}
		}
		return cause
	}
	return err
}

// submit has the job of an attempt, which may be there already.
func (w *scheduled) submit(ctx context.Context, stopped <-chan struct{}, who queue.Who, run *schedule.Run) (*tasks.Job, error) {
	if run.Job != "" { // what it was made of may be gone by now
		if job, err := w.s.queue.Job(ctx, who, run.Job); err == nil {
			return job, nil
		}
	}
	in, err := w.c.submission(w.file, run)
	if err != nil {
		return nil, err
	}
	sub, err := w.s.submission((&http.Request{}).WithContext(ctx), in)
	if err != nil {
		return nil, err
	}
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		job, _, err := w.s.queue.Submit(ctx, who, sub)
		var full *queue.RefusedError
		if !errors.As(err, &full) {
			return job, err
		}
		// The queue is at its limit; a run's time limit goes on.
		t := time.NewTimer(max(pause, full.RetryAfter))
		select {
		case <-t.C:
		case <-stopped:
			t.Stop()
			return nil, err
		}
	}
}

// await returns when the job has ended; nil where its task is COMPLETE.
func (w *scheduled) await(ctx context.Context, who queue.Who, job *tasks.Job) error {
	for {
		res, err := w.s.queue.Wait(ctx, who, []string{job.ID}, queue.All)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil && !res.Done:
			return context.Cause(ctx)
		case len(res.Missing) > 0:
			return fmt.Errorf("its job %s was deleted", job.ID)
		case len(res.Failed) > 0:
			return w.failure(ctx, who, res.Failed[0])
		case res.Done:
			return nil
		}
	}
}

// failure says why a task has no value.
func (w *scheduled) failure(ctx context.Context, who queue.Who, id string) error {
	ts, err := w.s.queue.Follow(context.WithoutCancel(ctx), who, id)
	if err != nil {
		return err
	}
	if ts[0] == nil {
		return fmt.Errorf("its task %s is not there any more", id)
	}
	t := ts[0]
	switch {
	case t.State == tasks.Cancelled:
		return fmt.Errorf("its task %s was cancelled by %s", id, t.By)
	case t.Failure == nil:
		return fmt.Errorf("its task %s is %s", id, t.State)
	case t.State == tasks.Error:
		return errors.New(t.Failure.Message) // the state of the run says the rest
	}
	return fmt.Errorf("%s: %s", t.State, t.Failure.Message)
}

// copyLog puts what R prints into the run's log, after what was put there by a server
// that had the run before.
func (w *scheduled) copyLog(ctx context.Context, who queue.Who, run *schedule.Run, job *tasks.Job) {
	had := 0
	if run.Taken > 0 || run.Job != "" {
		err := w.s.broker.ReadLog(ctx, run.ID, 0, 0, func(_ uint64, _ time.Time, data []byte) error {
			var told tasks.Told
			if err := json.Unmarshal(data, &told); err != nil {
				return err
			}
			for _, l := range told.Lines {
				if told.Attempt == run.Attempt && l.Stream != keeper.LogStream {
					had++
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			w.s.log.Warn("the log of a run cannot be read", "run", run.ID, "error", err)
		}
	}
	err := w.s.queue.Log(ctx, who, tasks.TaskID(job.ID, 1), 0, true, func(_ uint64, _ time.Time, data []byte) error {
		var told tasks.Told
		if err := json.Unmarshal(data, &told); err != nil {
			return err
		}
		skip := min(had, len(told.Lines))
		had -= skip
		if told.Lines = told.Lines[skip:]; len(told.Lines) == 0 {
			return nil
		}
		message, err := json.Marshal(tasks.Told{Attempt: run.Attempt, Lines: told.Lines})
		if err != nil {
			return err
		}
		return w.s.broker.Log(ctx, run.ID, 0, message)
	})
	if err != nil && ctx.Err() == nil {
		w.s.log.Warn("what R prints does not go into the log of the run", "run", run.ID, "job", job.ID, "error", err)
	}
}
