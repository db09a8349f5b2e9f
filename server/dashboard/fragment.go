package dashboard

import (
	"sync"
	"time"
)

// fragments are the insides of pages that were made a moment ago, for those who look at
// the same with the same rights.
type fragments struct {
	keep time.Duration

	mu  sync.Mutex
	all map[string]*fragment
}

// fragment is one of them, or one that is being made.
type fragment struct {
	made chan struct{} // closed when it is
	at   time.Time
	html []byte // nil where it could not be made
}

// get is what a key stands for, made by f where nobody has lately.
func (c *fragments) get(key string, f func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	now := time.Now()
	for k, old := range c.all {
		if !old.at.IsZero() && now.Sub(old.at) > c.keep {
			delete(c.all, k)
		}
	}
	one := c.all[key]
	if one != nil {
		c.mu.Unlock()
		<-one.made
		if one.html != nil {
			return one.html, nil
		}
		return f() // it may have failed for who asked: he has gone, say
	}
	if c.all == nil {
		c.all = map[string]*fragment{}
	}
	one = &fragment{made: make(chan struct{})}
	c.all[key] = one
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		if one.at = time.Now(); one.html == nil {
			delete(c.all, key) // a failure, or a panic, is not kept
		}
		c.mu.Unlock()
		close(one.made)
	}()
	html, err := f()
	if err == nil {
		one.html = html
	}
	return html, err
}
