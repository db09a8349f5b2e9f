package keeper

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// List are all schedules by name, also those gone.
func (k *Keeper) List() []Schedule {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := map[string]bool{}
	for name := range k.entries {
		names[name] = true
	}
	for name := range k.mirror.timers {
		names[name] = true
	}
	out := make([]Schedule, 0, len(names))
	for name := range names {
		out = append(out, k.schedule(name))
	}
	slices.SortFunc(out, func(a, b Schedule) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Get is one of them.
func (k *Keeper) Get(name string) (Schedule, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.entries[name] == nil && k.mirror.timers[name] == nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", name, ErrMissing)
	}
	return k.schedule(name), nil
}

// schedule is what is known of one. k.mu is held.
func (k *Keeper) schedule(name string) Schedule {
	s := Schedule{Name: name}
	t, e := k.mirror.timers[name], k.entries[name]
	if t != nil {
		s.Kind, s.From, s.Owner = t.Kind, t.From, t.Owner
		s.Paused, s.PausedBy, s.Failing, s.Backfills = t.Paused, t.PausedBy, t.Failing, slices.Clone(t.Ranges)
	}
	if s.Gone = e == nil && !k.held[name]; e != nil {
		s.Kind, s.From, s.Owner, s.Timing = e.Kind, e.From, e.Owner, e.Timing
		if t == nil {
			s.Paused = e.Timing.Paused
		}
		if !s.Paused {
			s.Next = e.plan.Next(t.from(k.now()))
		}
	}
	for _, r := range k.mirror.of[name] {
		switch r.State {
		case schedule.Running, schedule.Retrying:
			s.Running++
		case schedule.Waiting:
			s.Waiting++
			continue
		}
		if s.Last == nil || newer(&r.Run, s.Last) < 0 {
			last := r.Run
			s.Last = &last
		}
	}
	return s
}

// newer orders runs by when they came to be, the newest first.
func newer(a, b *schedule.Run) int {
	return cmp.Or(b.Created.Compare(a.Created), b.Scheduled.Compare(a.Scheduled), strings.Compare(b.ID, a.ID))
}

// Next are the next n times of a schedule that is configured; none while it is paused.
func (k *Keeper) Next(name string, n int) ([]time.Time, error) {
	e, err := k.configured(name)
	if err != nil {
		return nil, err
	}
	t, _ := k.timerOf(name)
	if t != nil && t.Paused {
		return nil, nil
	}
	var out []time.Time
	for at := e.plan.Next(t.from(k.now())); !at.IsZero() && len(out) < n; at = e.plan.Next(at) {
		out = append(out, at)
	}
	return out, nil
}

// defaultLimit is how many runs are listed where nothing is said.
const defaultLimit = 100

// Runs lists runs, newest first, without their reports.
func (k *Keeper) Runs(f Filter) []schedule.Run {
	k.mu.Lock()
	defer k.mu.Unlock()
	after := k.mirror.runs[f.After]
	var out []schedule.Run
	look := k.mirror.runs
	if f.Schedule != "" {
		look = k.mirror.of[f.Schedule]
	}
	for _, r := range look {
		if f.Owner != "" && k.owner(r.Schedule) != f.Owner ||
			len(f.States) > 0 && !slices.Contains(f.States, r.State) ||
			!f.Since.IsZero() && r.Scheduled.Before(f.Since) ||
			!f.Until.IsZero() && !r.Scheduled.Before(f.Until) ||
			after != nil && newer(&after.Run, &r.Run) >= 0 {
			continue
		}
		out = append(out, r.Run)
	}
	slices.SortFunc(out, func(a, b schedule.Run) int { return newer(&a, &b) })
	return out[:min(len(out), cmp.Or(f.Limit, defaultLimit))]
}

// owner of a schedule. k.mu is held.
func (k *Keeper) owner(name string) string {
	if e := k.entries[name]; e != nil {
		return e.Owner
	}
	if t := k.mirror.timers[name]; t != nil {
		return t.Owner
	}
	return ""
}

// Run is one run with all of its record.
func (k *Keeper) Run(ctx context.Context, id string) (schedule.Run, error) {
	known, err := k.find(id)
	if err != nil {
		return schedule.Run{}, err
	}
	r, err := k.full(ctx, &known)
	if errors.Is(err, broker.ErrNotFound) {
		err = fmt.Errorf("run %s: %w", id, ErrMissing)
	}
	if err != nil {
		return schedule.Run{}, err
	}
	var run schedule.Run
	if err := json.Unmarshal(r.Data, &run); err != nil {
		return schedule.Run{}, fmt.Errorf("run %s: %w", id, err)
	}
	return run, nil
}
