package broker

import (
	"slices"
	"sync"
	"time"
)

// CommitBounds are the upper bounds of Commits.Counts.
var CommitBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second,
}

// Commits are the groups of records that have been stored: with durability always, what
// one takes is what the disk takes.
type Commits struct {
	Records int64         // in all of them
	Took    time.Duration // all of them
	Counts  [len(CommitBounds) + 1]int64
}

// Count is how many there were.
func (c *Commits) Count() int64 {
	var n int64
	for _, k := range c.Counts {
		n += k
	}
	return n
}

// figures count commits.
type figures struct {
	mu sync.Mutex
	c  Commits
}

func (f *figures) add(records int, took time.Duration) {
	i, _ := slices.BinarySearch(CommitBounds[:], took)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.c.Records += int64(records)
	f.c.Took += took
	f.c.Counts[i]++
}

// Commits are those since the broker was opened.
func (b *Broker) Commits() Commits {
	b.figures.mu.Lock()
	defer b.figures.mu.Unlock()
	return b.figures.c
}
