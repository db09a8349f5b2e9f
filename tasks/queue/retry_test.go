package queue

import (
	"errors"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// TestRetryIsLimited: a retry is held to what a submission is.
func TestRetryIsLimited(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", byCode, "q")
	j := r.submit(ann, text("fail", over(5), in("q")))
	r.wait(j.ID)
	w.stop()
	var wrong *InvalidError
	if _, err := r.Retry(within(t), ann, []string{j.ID}, RetryOptions{Memory: 1}); !errors.As(err, &wrong) || wrong.Field != "memory" {
		t.Errorf("memory of a byte: %v", err)
	}
	if _, err := r.Retry(within(t), ann, []string{j.ID}, RetryOptions{Timeout: -time.Second}); !errors.As(err, &wrong) || wrong.Field != "timeout" {
		t.Errorf("a negative time limit: %v", err)
	}
	if _, err := r.SetQueue(within(t), root, "q", func(c *tasks.QueueConfig) { c.MaxLength = 4 }); err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if _, err := r.Retry(within(t), ann, []string{j.ID}, RetryOptions{}); !errors.As(err, &refused) {
		t.Errorf("five tasks in a queue of four: %v", err)
	}
	if got := r.task(j.ID + ".1"); got.State != tasks.Error {
		t.Errorf("it is %s after a retry that was refused", got.State)
	}
	ids := []string{j.ID + ".1", j.ID + ".2", j.ID + ".3"}
	if out, err := r.Retry(within(t), ann, ids, RetryOptions{}); err != nil || out[2].NewID == "" {
		t.Errorf("three tasks in a queue of four: %+v, %v", out, err)
	}
	if _, err := r.Retry(within(t), ann, []string{j.ID + ".4", j.ID + ".5"}, RetryOptions{}); !errors.As(err, &refused) {
		t.Errorf("two more: %v", err)
	}
	if _, err := r.Retry(within(t), ann, []string{j.ID + ".4", j.ID + ".5"}, RetryOptions{Queue: "other"}); err != nil {
		t.Errorf("into another queue: %v", err)
	}
}
