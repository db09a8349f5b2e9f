package keeper

import (
	"context"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/schedule"
)

// TestARunThatIsCancelledAsItFailsIsNotTriedAgain: its attempt has failed for another
// reason, such as its timeout, and takes a moment to end. Were it to be tried again it
// would neither begin nor could it be cancelled, and keep others from running for ever.
func TestARunThatIsCancelledAsItFailsIsNotTriedAgain(t *testing.T) {
	ending, gate := make(chan struct{}), make(chan struct{})
	k, w := newKit(t), &work{do: func(ctx context.Context, _ *schedule.Run) error {
		<-ctx.Done()
		close(ending)
		<-gate
		return context.Cause(ctx)
	}}
	s := k.server("a", minutely(w, func(t *schedule.Timing) {
		t.Timeout, t.Retries = configs.Duration(50*time.Millisecond), 1
	}))
	k.forward(time.Minute)
	<-ending
	if err := s.Cancel(t.Context(), s.Runs(Filter{})[0].ID, "eve"); err != nil {
		t.Fatal(err)
	}
	close(gate)
	eventually(t, "it has ended", func() bool { return s.Runs(Filter{})[0].State != schedule.Running })
	if run := s.Runs(Filter{})[0]; run.State != schedule.Canceled || run.Reason != "by eve" || run.Ended.IsZero() {
		t.Errorf("%+v", run)
	}
}
