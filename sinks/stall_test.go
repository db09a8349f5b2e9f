package sinks

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

// line is a connection to a server that can go dead: nothing is lost, and
// nothing arrives.
type line struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
	done  sync.WaitGroup
	stuck chan struct{} // gets one for each piece that a dead line has swallowed
}

func newLine(t *testing.T, endpoint string) *line {
	t.Helper()
	l := &line{target: strings.TrimPrefix(endpoint, "http://"), stuck: make(chan struct{}, 1)}
	var err error
	l.listener, err = net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	l.done.Go(l.serve)
	t.Cleanup(func() {
		l.listener.Close()
		l.mu.Lock()
		for _, c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		l.done.Wait()
	})
	return l
}

func (l *line) serve() {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", l.target)
		if err != nil {
			from.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, from, to)
		l.mu.Unlock()
		l.done.Go(func() {
			defer to.Close()
			io.Copy(writerFunc(func(b []byte) (int, error) { return l.pass(to, b) }), from)
		})
		l.done.Go(func() { defer from.Close(); io.Copy(from, to) })
	}
}

func (l *line) pass(to net.Conn, b []byte) (int, error) {
	l.mu.Lock()
	dead := l.dead
	l.mu.Unlock()
	if !dead {
		return to.Write(b)
	}
	select {
	case l.stuck <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (l *line) cut(dead bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = dead
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// A run that is cancelled does not wait for a server that says nothing.
func TestWriteToAServerThatHangsIsInterrupted(t *testing.T) {
	t.Parallel()
	g := parquetOnS3(t)
	env := g.env(t, "run-1")
	l := newLine(t, s3test.Start(t).Endpoint)
	config := env.S3.Config()
	config.Endpoint = "http://" + l.listener.Addr().String()
	env.S3 = store.New(config)
	t.Cleanup(env.S3.Close)
	sink := bucketSink{"out", Files{}, func(path string, l Files) Sink { return &CSV{Path: path, Files: l} }}
	w := open(t, sink, env)
	write(t, w, noise(t, 0, 100))
	l.cut(true)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("stopped by its user")
	ended := make(chan error)
	go func() {
		for {
			if err := w.Write(ctx, noise(t, 0, 50_000)); err != nil {
				ended <- err
				return
			}
		}
	}()
	<-l.stuck // a part is on its way
	cancel(enough)
	if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	l.cut(false)
	env.S3.Close()
	check(t, w.Abort())
	if n := uploads(t, env); n > 0 {
		t.Errorf("%d uploads stay", n)
	}
}
