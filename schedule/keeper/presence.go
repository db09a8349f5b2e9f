package keeper

import (
	"context"
	"strings"
	"time"
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
