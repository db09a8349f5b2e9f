package broker

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rpipe-dev/rpipe/tasks"
)

// WithdrawJob removes the messages of all tasks of a job in a lane of a queue, claimed
// or not, in one go however many there are.
func (b *Broker) WithdrawJob(ctx context.Context, queue string, lane tasks.Lane, job string) error {
	if err := b.purge(ctx, workStream, "rp.w."+queue+"."+strconv.Itoa(int(lane))+"."+job+".>"); err != nil {
		return fmt.Errorf("withdraw job %s from queue %s: %w", job, queue, err)
	}
	return nil
}
