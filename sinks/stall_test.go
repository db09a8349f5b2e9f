package sinks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

// A run that is cancelled does not wait for a server that says nothing.
func TestWriteToAServerThatHangsIsInterrupted(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	stuck, over := make(chan struct{}, 1), make(chan struct{})
	defer close(over)
	config := s3test.Start(t).Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !hangs.Load() {
			next.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection is not seen
		select {
		case stuck <- struct{}{}:
		default:
		}
		select {
		case <-r.Context().Done():
		case <-over:
		}
		panic(http.ErrAbortHandler)
	})
	g := parquetOnS3(t)
	env := g.env(t, "run-1")
	env.S3 = store.New(config)
	t.Cleanup(env.S3.Close)
	sink := bucketSink{"out", Files{}, func(path string, l Files) Sink { return &CSV{Path: path, Files: l} }}
	w := open(t, sink, env)
	write(t, w, noise(t, 0, 100))
	hangs.Store(true)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("stopped by its user")
	ended := make(chan error)
	go func() {
		batch := noise(t, 0, 50_000)
		for {
			if err := w.Write(ctx, batch); err != nil {
				ended <- err
				return
			}
		}
	}()
	<-stuck // a part is on its way
	cancel(enough)
	if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	hangs.Store(false)
	check(t, w.Abort())
	if n := uploads(t, env); n > 0 {
		t.Errorf("%d uploads stay", n)
	}
}
