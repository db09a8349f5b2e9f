package front

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
)

const (
	// lingerIdle is how long a connection stays open for a request that its client
	// may just be sending; the answer to it says that the connection ends.
	lingerIdle = 500 * time.Millisecond
	// lastWords is how long requests that are cancelled have to say so.
	lastWords = 3 * time.Second
)

// Shutdown ends the front in good order: Ready becomes false; after drain_delay no
// connection is accepted any more; what has come in is answered, and answers end
// their connections. When ctx ends first, the requests still under way are
// cancelled with fault.ErrDraining and may answer; Shutdown says so in its error.
func (f *Front) Shutdown(ctx context.Context) error {
	f.unready.Store(true)
	if !f.began.Load() {
		f.Close()
		return nil
	}
	if delay := time.Duration(f.config.DrainDelay); delay > 0 {
		wait(ctx, delay)
	}
	f.stopAccepting()
	greeted, cancel := context.WithTimeout(ctx, lingerIdle)
	select {
	case <-f.door:
	case <-greeted.Done(): // somebody is slow at a TLS handshake
	}
	cancel()
	// Not before: clients would come back at once, and one that comes between the
	// last accept and the close of the listener is reset.
	f.closing.Store(true)
	f.log.Debug("no connection is accepted any more", "address", f.config.Address)
	idle, cancel := context.WithTimeout(ctx, lingerIdle)
	f.conns.wait(idle)
	cancel()
	for _, c := range f.conns.all() {
		if !c.read.Load() { // a browser's spare one, for which net/http would wait
			c.Close()
		}
	}
	err := f.server.Shutdown(ctx)
	done := f.requests.wait(ctx) // streams that net/http has let go of, too
	if err == nil && done {
		f.Close()
		return nil
	}
	f.requests.mu.Lock()
	n := f.requests.n
	f.requests.mu.Unlock()
	f.stop(fault.ErrDraining)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if f.requests.wait(last) {
		f.conns.wait(last)
	}
	f.Close()
	if err == nil || errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("shut down: %d requests were cancelled: %w", n, err)
}

// Close ends everything at once and is safe to call again. Handlers that are
// running see their contexts end; when Serve has returned none runs any more.
func (f *Front) Close() {
	f.unready.Store(true)
	f.end.Do(func() {
		f.stop(fault.ErrDraining)
		f.conns.stop()
		f.listener.Close()
		f.feed.Close()
		f.server.Close()
		for _, c := range f.conns.all() {
			c.Close()
		}
		f.requests.wait(context.Background())
		f.serving.wait(context.Background())
		f.spool.close()
		f.access.close()
		close(f.ended)
	})
}
