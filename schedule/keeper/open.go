package keeper

import (
	"context"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Keeper keeps schedules.
type Keeper struct{}

// Open begins to keep the schedules of a broker; there are none until Set.
func Open(ctx context.Context, b *broker.Broker, o Options) (*Keeper, error) { panic("coming") }

// Set replaces the schedules, also later, at a reload: what runs goes on.
func (k *Keeper) Set(entries []Entry) error { panic("coming") }

// Close hands the runs under way over to another server, or to the next start of this one.
func (k *Keeper) Close() error { panic("coming") }

// List are all schedules by name, also those gone.
func (k *Keeper) List() []Schedule { panic("coming") }

// Get is one of them.
func (k *Keeper) Get(name string) (Schedule, error) { panic("coming") }

// Next are the next n times of a schedule.
func (k *Keeper) Next(name string, n int) ([]time.Time, error) { panic("coming") }

// Runs lists runs, newest first, without their reports.
func (k *Keeper) Runs(f Filter) []schedule.Run { panic("coming") }

// Run is one run with all of its record.
func (k *Keeper) Run(ctx context.Context, id string) (schedule.Run, error) { panic("coming") }

// Trigger has a schedule run now, for the scheduled time at; zero is now.
func (k *Keeper) Trigger(ctx context.Context, name string, at time.Time, by string) (schedule.Run, error) {
	panic("coming")
}

// Pause has nothing due until Resume.
func (k *Keeper) Pause(ctx context.Context, name, by string) error { panic("coming") }

// Resume ends a pause.
func (k *Keeper) Resume(ctx context.Context, name, by string) error { panic("coming") }

// Backfill runs a schedule for its times from one on and before another, oldest first and one at a time.
func (k *Keeper) Backfill(ctx context.Context, name string, from, to time.Time, by string) (Range, error) {
	panic("coming")
}

// Cancel ends a run, also one that has not begun.
func (k *Keeper) Cancel(ctx context.Context, id, by string) error { panic("coming") }
