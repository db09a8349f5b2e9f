package sources

import "sync/atomic"

// countdown closes something once the last of its users is done.
type countdown struct {
	users atomic.Int64
	close func() error
}

// newCountdown has one user at first.
func newCountdown(close func() error) *countdown {
	c := &countdown{close: close}
	c.users.Store(1)
	return c
}

func (c *countdown) add() { c.users.Add(1) }

func (c *countdown) release() {
	if c.users.Add(-1) == 0 {
		c.close()
	}
}
