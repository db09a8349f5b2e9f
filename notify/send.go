package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Waits between attempts.
const (
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	longestAsk  = time.Hour // that a target's Retry-After may say
)

// mostWaiting is how many messages of a target wait. Beyond it the oldest is given up.
const mostWaiting = 1000

// sender delivers the messages of one target, in order.
type sender struct {
	name   string
	target Target
	n      *Notifier
	host   string
	client *http.Client
	more   chan struct{} // has a word when there is something to do
	ctx    context.Context
	stop   context.CancelFunc
	done   chan struct{} // closed when run has returned

	mu    sync.Mutex
	queue []*letter
	stats Stats
}

func newSender(name string, t Target, n *Notifier) (*sender, error) {
	u, err := url.Parse(string(t.URL))
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("notify %s: url is no address of a web server", name)
	}
	d := &net.Dialer{Timeout: 10 * time.Second}
	if !t.AllowPrivate {
		d.Control = onlyPublic
	}
	s := &sender{name: name, target: t, n: n, host: u.Hostname(), more: make(chan struct{}, 1), done: make(chan struct{})}
	s.ctx, s.stop = context.WithCancel(n.ctx)
	s.client = &http.Client{
		// No proxy: it would resolve the name itself, and reach what we may not.
		Transport: &http.Transport{
			DialContext: d.DialContext, MaxIdleConns: 2, IdleConnTimeout: 30 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// add has a message delivered.
func (s *sender) add(l *letter) {
	s.mu.Lock()
	var over *letter
	if len(s.queue) >= mostWaiting {
		over = s.queue[1] // the first is on its way
		s.queue = slices.Delete(s.queue, 1, 2)
		s.stats.Failed++
	}
	s.queue = append(s.queue, l)
	s.mu.Unlock()
	if over != nil {
		s.n.drop(over)
		s.n.log.Error("a notification is given up: too many wait for its target", "target", s.name, "event", over.Message.Kind, "schedule", over.Message.Schedule, "run", over.Message.Run)
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// start begins to deliver.
func (s *sender) start() {
	s.n.running.Go(func() {
		defer close(s.done)
		s.run()
	})
}

// run delivers until it is stopped.
func (s *sender) run() {
	for {
		s.mu.Lock()
		var l *letter
		if len(s.queue) > 0 {
			l = s.queue[0]
		}
		s.mu.Unlock()
		if l == nil {
			select {
			case <-s.more:
				continue
			case <-s.ctx.Done():
				return
			}
		}
		if !s.deliver(l) {
			return
		}
		s.n.drop(l)
		s.mu.Lock()
		if len(s.queue) > 0 && s.queue[0] == l { // add may have taken it out
			s.queue = s.queue[1:]
		}
		s.mu.Unlock()
	}
}

// deliver tries until a message is taken or given up; false where it was stopped.
func (s *sender) deliver(l *letter) bool {
	for {
		err := s.post(s.ctx, l)
		if s.ctx.Err() != nil {
			return false
		}
		l.Tries++
		var refused *refusedError
		permanent := errors.As(err, &refused) && refused.permanent || errors.Is(err, ErrPrivate)
		about := []any{"target", s.name, "host", s.host, "event", l.Message.Kind, "schedule", l.Message.Schedule, "run", l.Message.Run, "attempts", l.Tries}
		switch {
		case err == nil:
			s.count(func(f *Stats) { f.Delivered++; f.LastError = "" })
			s.n.log.Debug("a notification was delivered", about...)
			return true
		case permanent || l.Tries > s.target.Retries:
			s.count(func(f *Stats) { f.Failed++; f.LastError = err.Error() })
			s.n.log.Error("a notification is given up", append(about, "error", err)...)
			return true
		}
		s.count(func(f *Stats) { f.Retried++; f.LastError = err.Error() })
		wait := s.n.pause(l.Tries)
		if refused != nil && refused.after > 0 {
			wait = min(refused.after, longestAsk)
		}
		s.n.log.Warn("a notification is tried again", append(about, "error", err, "in", wait.Round(time.Millisecond).String())...)
		s.n.store(l)
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return false
		}
	}
}

// pause doubles, and is spread so that many do not come at once.
func pause(tries int) time.Duration {
	d := longestWait
	if tries < 10 {
		d = min(firstWait<<(tries-1), longestWait)
	}
	return d - time.Duration(rand.Int64N(int64(d)/4))
}

// refusedError is an answer other than 2xx.
type refusedError struct {
	status    int
	text      string
	permanent bool
	after     time.Duration
}

func (e *refusedError) Error() string {
	text := fmt.Sprintf("it answers %d", e.status)
	switch {
	case e.status >= 300 && e.status < 400:
		return text + ", a redirect, which is not followed: set the address where it leads"
	case e.text != "":
		return text + ": " + e.text
	}
	return text
}

// post makes one attempt.
func (s *sender) post(ctx context.Context, l *letter) error {
	body, err := s.body(&l.Message)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.target.Timeout))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, string(s.target.URL), bytes.NewReader(body))
	if err != nil {
		return s.plain(err)
	}
	h := r.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "rpipe/"+s.n.o.Version)
	h.Set("X-Rpipe-Event", l.Message.Kind)
	h.Set("X-Rpipe-Delivery", l.ID)
	if s.target.Secret != "" {
		h.Set("X-Rpipe-Signature", Sign(string(s.target.Secret), time.Now(), body))
	}
	for name, value := range s.target.Headers {
		h.Set(name, string(value))
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return s.plain(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // or the connection is not used again
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	e := &refusedError{status: resp.StatusCode, text: oneLine(string(answer)), permanent: true}
	switch {
	case e.status == http.StatusTooManyRequests, e.status == http.StatusRequestTimeout, e.status >= 500:
		e.permanent = false
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
			e.after = time.Duration(min(n, int(longestAsk/time.Second))) * time.Second
		}
	}
	return e
}

// plain is an error of the client without the address, which is a secret.
func (s *sender) plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("post to %s: %w", s.host, err)
}

func (s *sender) body(m *Message) ([]byte, error) {
	if s.target.Format == "slack" {
		return m.slack()
	}
	return json.Marshal(m)
}

// Sign is the header X-Rpipe-Signature of a body that is sent at a time. Who gets it
// makes the same of t and the body, compares, and refuses what is older than minutes.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(t + "."))
	m.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(m.Sum(nil))
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
}

func (s *sender) count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
	s.stats.LastTime = time.Now().UTC()
}

func (s *sender) figures() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Name, out.Host, out.Format, out.Only, out.Waiting = s.name, s.host, s.target.Format, s.target.Only, len(s.queue)
	return out
}
