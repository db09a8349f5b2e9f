package stages

// hold says that shares of origins wait for more rows: nothing will settle them
// until their holder lets them go, with release.
func hold(origins []*Origin) { held(origins, 1) }

// release takes back what hold said.
func release(origins []*Origin) { held(origins, -1) }

func held(origins []*Origin, by int) {
	for _, o := range origins {
		o.ledger.mu.Lock()
		o.held += by
		o.ledger.mu.Unlock()
	}
}

// Spooled says that the batch's rows are on disk and no longer in memory, though
// they are not settled: the budget may be used for other reads.
func (b *Batch[T]) Spooled() {
	for _, o := range b.Origins {
		l := o.ledger
		l.mu.Lock()
		o.spooled++
		if o.spooled >= o.shares {
			l.giveBack(o)
		}
		l.mu.Unlock()
	}
}

// SettleSpooled is Settle of a batch after Spooled.
func (b *Batch[T]) SettleSpooled(err error) {
	for _, o := range b.Origins {
		o.ledger.mu.Lock()
		o.spooled--
		o.ledger.mu.Unlock()
		o.settle(err)
	}
	b.Origins = nil
}

// stuck reports whether the run waits for itself: the source waits for room, and
// every share of what is open is held by those who wait for the source.
func (l *Ledger) stuck() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.waiting {
		return false
	}
	for _, o := range l.open {
		if o.shares > o.held {
			return false
		}
	}
	return true
}

// lingers reports whether an epoch was cut, and every share of it that is open
// waits for rows, of which it has no more. Whoever holds such rows lets them go.
func (l *Ledger) lingers(epoch uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch >= l.epoch {
		return false
	}
	for _, o := range l.open {
		if o.epoch > epoch {
			break
		}
		if o.shares > o.held {
			return false
		}
	}
	return true
}
