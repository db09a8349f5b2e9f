package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// Keeper keeps schedules. Its methods may be called by several goroutines.
type Keeper struct {
	broker *broker.Broker
	o      Options
	log    *slog.Logger

	wake     chan struct{}      // has an element when something may be due
	abdicate context.CancelFunc // ends leading
	stop     context.CancelFunc // ends the rest of group
	group    conc.WaitGroup     // the mirror, presence, and who leads
	work     context.Context
	handOff  context.CancelCauseFunc // of work
	works    conc.WaitGroup          // attempts

	mu      sync.Mutex
	mirror  mirror
	entries map[string]*entry
	order   []string        // of entries: each after those that it comes after
	held    map[string]bool // configured, and not to be run
	set     bool            // Set was called
	running map[string]*attempt
	closed  bool
}

// entry is an Entry that was understood.
type entry struct {
	Entry
	plan *schedule.Plan
}

// role is what servers elect a leader for.
const role = "schedules"

// Open begins to keep the schedules of a broker; there are none until Set.
func Open(ctx context.Context, b *broker.Broker, o Options) (*Keeper, error) {
	if o.Server == "" {
		o.Server = newID()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{
		broker: b, o: o, log: o.Log, wake: make(chan struct{}, 1),
		mirror: newMirror(), entries: map[string]*entry{}, running: map[string]*attempt{},
	}
	if err := k.announce(ctx); err != nil {
		return nil, fmt.Errorf("schedules: %w", err)
	}
	long, stop := context.WithCancel(context.WithoutCancel(ctx))
	leading, abdicate := context.WithCancel(long)
	k.stop, k.abdicate = stop, abdicate
	k.work, k.handOff = context.WithCancelCause(context.WithoutCancel(ctx))
	level, failed := make(chan struct{}), make(chan error, 1)
	k.group.Go(func() {
		if err := k.keepUp(long, k.follow, sync.OnceFunc(func() { close(level) })); err != nil {
			failed <- err
		}
	})
	select {
	case <-level:
	case err := <-failed:
		k.Close()
		return nil, fmt.Errorf("schedules: %w", err)
	case <-ctx.Done():
		k.Close()
		return nil, context.Cause(ctx)
	}
	k.group.Go(func() { k.stayPresent(long) })
	k.group.Go(func() { k.stand(leading, b.Lead) })
	return k, nil
}

// restAfter is how long there is between attempts at what the engine has ended, as it was
// away for long.
const restAfter = time.Second

func rest(ctx context.Context) {
	t := time.NewTimer(restAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// keepUp follows the records until ctx ends. The error is that it never had all of them.
func (k *Keeper) keepUp(ctx context.Context, follow func(context.Context, func()) error, level func()) error {
	had := false
	for {
		err := follow(ctx, func() { had = true; level() })
		switch {
		case ctx.Err() != nil:
			return nil
		case !had:
			return err
		case errors.Is(err, broker.ErrClosed):
			return nil
		}
		k.log.Error("schedules: records were not followed for a moment", "err", err)
		rest(ctx)
	}
}

// stand stands for leader until ctx ends.
func (k *Keeper) stand(ctx context.Context, lead func(context.Context, string, func(context.Context) error) error) {
	for {
		err := lead(ctx, role, k.lead)
		if ctx.Err() != nil || errors.Is(err, broker.ErrClosed) {
			return
		}
		k.log.Error("schedules: this server cannot stand for leader now, and tries again", "err", err)
		rest(ctx)
	}
}

// Close hands the runs under way over to another server, or to the next start of this one.
func (k *Keeper) Close() error {
	k.mu.Lock()
	again := k.closed
	k.closed = true
	k.mu.Unlock()
	if again {
		return nil
	}
	k.abdicate()
	k.handOff(ErrHandover)
	k.works.Wait()
	k.stop()
	k.group.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := k.broker.Withdrawn(ctx, presentKey+k.o.Server)
	if errors.Is(err, broker.ErrClosed) {
		return nil
	}
	return err
}

// Abdicate ends leading: this server begins no run any more, and those that it has go on.
func (k *Keeper) Abdicate() { k.abdicate() }

// Set replaces the schedules, also later, at a reload: what runs goes on. Those of held are
// there and cannot be run now, as their file has an error: what waits of them, and runs
// that a server left, wait until they can.
func (k *Keeper) Set(entries []Entry, held ...string) error {
	all, order, err := together(entries)
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, name := range held {
		waiting[name] = true
	}
	k.mu.Lock()
	k.entries, k.order, k.held, k.set = all, order, waiting, true
	k.mu.Unlock()
	k.nudge()
	return nil
}

// Check reports why Set would refuse the schedules.
func Check(entries []Entry) error {
	_, _, err := together(entries)
	return err
}

// together are schedules by name, and their names, each after those that it comes after.
func together(entries []Entry) (map[string]*entry, []string, error) {
	all := make(map[string]*entry, len(entries))
	for _, e := range entries {
		if err := tasks.CheckName("a schedule", e.Name); err != nil {
			return nil, nil, err
		}
		if other := all[e.Name]; other != nil {
			return nil, nil, fmt.Errorf("there are two schedules %s, in %s and %s: give one of them another name", e.Name, other.From, e.From)
		}
		plan, err := e.Timing.Compile()
		if err != nil {
			return nil, nil, fmt.Errorf("schedule %s: %w", e.Name, err)
		}
		if e.Timing.Keep.Runs == 0 {
			e.Timing.Keep.Runs = 100
		}
		all[e.Name] = &entry{e, plan}
	}
	order, err := ordered(all)
	return all, order, err
}

// ordered are the names of schedules, each after those that it comes after.
func ordered(all map[string]*entry) ([]string, error) {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	var order, path []string
	done := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if done[name] {
			return nil
		}
		if i := slices.Index(path, name); i >= 0 {
			return fmt.Errorf("schedule %s comes after itself, by after: %v", name, append(path[i:], name))
		}
		path = append(path, name)
		for _, before := range all[name].Timing.After {
			if all[before] == nil {
				return fmt.Errorf("schedule %s: after names %q, and there is no such schedule", name, before)
			}
			if err := visit(before); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		order = append(order, name)
		return nil
	}
	for _, name := range names {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// nudge has the leader look what is due.
func (k *Keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// told calls those who want to know of changes.
func (k *Keeper) told() {
	if k.o.Changed != nil {
		k.o.Changed()
	}
}

func (k *Keeper) now() time.Time { return k.o.Now().UTC() }
