package keeper

import (
	"context"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
)

// A server says that it is there every third of presentFor. Who cannot say so for
// fenceAfter leaves its runs: soon others may take them.
const (
	presentKey = "keeper."
	presentFor = 15 * time.Second
	fenceAfter = 12 * time.Second
)

func (k *Keeper) announce(ctx context.Context) error {
	return k.broker.Announce(ctx, presentKey+k.o.Server, []byte("{}"), presentFor)
}

// stayPresent announces this server until ctx ends.
func (k *Keeper) stayPresent(ctx context.Context) {
	last := time.Now()
	var idle map[string]uint64
	tick := time.NewTicker(presentFor / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		at := time.Now()
		try, cancel := context.WithDeadline(ctx, last.Add(fenceAfter))
		err := k.announce(try)
		cancel()
		if err == nil {
			last = at
			idle = k.disown(ctx, idle)
			continue
		}
		if ctx.Err() == nil && time.Since(last) >= fenceAfter {
			k.mu.Lock()
			n := len(k.running)
			for _, a := range k.running {
				a.cancel(ErrHandover)
			}
			k.mu.Unlock()
			if n > 0 {
				k.log.Error("schedules: the engine is away, so that another server may take over the runs of this one", "runs", n, "err", err)
			}
			last = time.Now()
		}
	}
}

// disown leaves the runs that this server has by their records, and has not: it left them
// while the engine was away and could not say so, or lost the lead as it began them. Since
// it is there, nobody else would take them. One that is about to begin is in its record
// first, so before says which were without an attempt, with the same record, the last time.
func (k *Keeper) disown(ctx context.Context, before map[string]uint64) (idle map[string]uint64) {
	idle = map[string]uint64{}
	var lost []*schedule.Run
	k.mu.Lock()
	for id, run := range k.mirror.runs {
		if run.State != schedule.Running || run.Server != k.o.Server || k.running[id] != nil {
			continue
		}
		idle[id] = run.seq
		if before[id] == run.seq {
			lost = append(lost, &run.Run)
		}
	}
	k.mu.Unlock()
	for _, run := range lost {
		k.log.Warn("schedules: a run that this server has by its record is not under way here: it is left to whoever leads", "schedule", run.Schedule, "run", run.ID)
		k.leave(ctx, run)
	}
	return idle
}

// present are the servers that are there.
func (k *Keeper) present(ctx context.Context) (map[string]bool, error) {
	keys, err := k.broker.Present(ctx, presentKey)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{k.o.Server: true}
	for key := range keys {
		there[strings.TrimPrefix(key, presentKey)] = true
	}
	return there, nil
}
