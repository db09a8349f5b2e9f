package front

import (
	"container/list"
	"crypto/sha256"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// limiter keeps a token bucket for each of the clients that asked last.
type limiter struct {
	rate  rate.Limit
	burst int
	most  int
	key   func(*http.Request) string

	mu      sync.Mutex
	clients map[string]*list.Element
	order   list.List // of *bucket; who asked last is in front
}

type bucket struct {
	client string
	*rate.Limiter
}

func newLimiter(c *RateLimit) (*limiter, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	burst := c.Burst
	if burst == 0 {
		burst = max(1, int(math.Ceil(c.Rate)))
	}
	return &limiter{rate: rate.Limit(c.Rate), burst: burst, most: max(1, c.Clients), key: key, clients: map[string]*list.Element{}}, nil
}

// allow counts a request; the error is 429 with the time until one is allowed.
func (l *limiter) allow(r *http.Request) error {
	now := time.Now()
	b := l.bucket(short(l.key(r)))
	if b.AllowN(now, 1) { // a reservation that is cancelled is not given back whole where others wait
		return nil
	}
	missing := max(1-b.TokensAt(now), 0.001) / float64(l.rate)
	return &fault.Fault{
		Status: http.StatusTooManyRequests, Reason: "rate_limited", Message: "too many requests",
		RetryAfter: time.Duration(min(missing, 1e9) * float64(time.Second)),
	}
}

func (l *limiter) bucket(client string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.clients[client]; e != nil {
		l.order.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if l.order.Len() >= l.most {
		oldest := l.order.Remove(l.order.Back()).(*bucket)
		delete(l.clients, oldest.client)
	}
	b := &bucket{client, rate.NewLimiter(l.rate, l.burst)}
	l.clients[client] = l.order.PushFront(b)
	return b
}

// short is a key that does not take much memory for long: headers may be large.
func short(key string) string {
	if len(key) <= 64 {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return string(sum[:])
}

// byClient is the address; of IPv6 the network that one customer usually has.
func byClient(r *http.Request) string {
	a := exchange.Of(r.Context()).Client
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	if a == (netip.Addr{}) {
		return "unix"
	}
	return a.String()
}

func byOwner(r *http.Request) string { return exchange.Of(r.Context()).Owner }
