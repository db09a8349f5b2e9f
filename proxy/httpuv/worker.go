package httpuv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
)

// worker is a leased R worker that serves on a Unix socket of its own.
type worker struct {
	id     string // in cookies and in the URLs of Shiny sessions; nobody can guess it
	lease  *rpool.Lease
	socket string
	ready  string
	ending string
	http   *http.Transport
	cancel context.CancelFunc // ends the call that serves

	ended chan struct{} // closed when it serves no more
	err   error         // why; set before ended is closed. nil: it was told to

	// Guarded by crew.mu.
	requests, sockets int // under way
	served            int
	proven            bool      // has come through a request
	born, idle        time.Time // idle: since when nothing is under way
	blocked           bool      // an interrupted request has not let go of R yet
	leaving           bool      // takes nobody new, and ends when it is empty
	replacing         bool      // a successor is on its way
	gone              bool      // left the crew; somebody sees to its end
}

// maxSocketPath is what the address of a Unix socket can hold everywhere, less a
// number behind it.
const maxSocketPath = 99

// launch leases a worker and has it serve. leased is called in between. The
// error of code that does not come up is a *rpool.StartError.
func launch(ctx context.Context, o *Options, leased func()) (*worker, error) {
	lease, err := o.Pool.Acquire(ctx, o.Env, rpool.Interactive)
	if err != nil {
		return nil, err
	}
	leased()
	w := &worker{id: rand.Text(), lease: lease, ended: make(chan struct{}), born: time.Now(), idle: time.Now()}
	up, err := w.place(ctx)
	if err != nil {
		lease.Release()
		return nil, err
	}
	defer up.Close()
	if err := w.serve(ctx, o, up); err != nil {
		return nil, err
	}
	return w, nil
}

// place finds the worker's private directory and makes the FIFO there by which it
// says that it is up.
func (w *worker) place(ctx context.Context) (*os.File, error) {
	r, err := placeCall()
	if err != nil {
		return nil, err
	}
	reply, err := w.lease.Do(ctx, r)
	if err != nil {
		return nil, startError("find its directory", "", err)
	}
	v, err := rdata.UnmarshalItem(reply.Data, nil)
	if err != nil {
		return nil, err
	}
	c, ok := v.(*rdata.Character)
	if !ok || c.Len() != 1 {
		return nil, errors.New("httpuv: the worker does not say where its directory is")
	}
	dir, _ := c.At(0)
	w.socket, w.ready, w.ending = filepath.Join(dir, "h"), filepath.Join(dir, "h.up"), filepath.Join(dir, "h.end")
	if len(w.socket) > maxSocketPath {
		return nil, fmt.Errorf("httpuv: the path %s is too long for a Unix socket: set TMPDIR to a shorter one", w.socket)
	}
	for _, old := range []string{w.ready, w.ending} {
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return openReady(w.ready, dir)
}

// serve starts the call that serves and waits until the server is up.
func (w *worker) serve(ctx context.Context, o *Options, up *os.File) error {
	r, err := o.Config.serveCall(w.socket, w.ready, w.ending, w.id)
	if err != nil {
		w.lease.Release()
		return err
	}
	var serving context.Context
	serving, w.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(w.ended)
		_, err := w.lease.Do(serving, r)
		if serving.Err() == nil {
			w.err = err
		}
	}()
	heard := make(chan error, 1)
	go func() {
		_, err := up.Read(make([]byte, 1))
		heard <- err
	}()
	defer func() {
		up.SetReadDeadline(time.Unix(1, 0))
		<-heard
	}()
	late := time.NewTimer(o.Config.startTimeout())
	defer late.Stop()
	select {
	case err := <-heard:
		heard <- err
		if err == nil {
			w.http = &http.Transport{
				DialContext:         w.dial,
				DisableCompression:  true,
				MaxIdleConnsPerHost: 64,
			}
			return nil
		}
		w.kill()
		return fmt.Errorf("httpuv: wait for the server: %w", err)
	case <-w.ended:
		w.cancel()
		w.lease.Release()
		if w.err == nil {
			w.err = errors.New("the server has ended at once")
		}
		return startError("serve", o.Config.what(), w.err)
	case <-late.C:
		w.kill()
		return &rpool.StartError{
			Step: "serve", What: o.Config.what(), Err: fmt.Errorf("nothing listens after %v", o.Config.startTimeout()),
			Hint: "raise start_timeout if the code needs longer to come up",
		}
	case <-ctx.Done():
		w.kill()
		return context.Cause(ctx)
	}
}

func startError(step, what string, err error) error {
	e := &rpool.StartError{Step: step, What: what, Err: err}
	var died *rpool.DiedError
	if errors.As(err, &died) {
		e.Stderr = died.Stderr
	}
	return e
}

// dialError is the failure to reach a worker: nothing has been sent to it.
type dialError struct{ err error }

func (e *dialError) Error() string { return "connect to the R worker: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func (w *worker) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", w.socket)
	if err != nil {
		return nil, &dialError{err}
	}
	return c, nil
}

// listens reports whether the worker's socket takes connections, as that of a
// process that has died does not.
func (w *worker) listens() bool {
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// control asks the worker itself for something, which it does as soon as R is
// free: "leave", or "forget" and the token of a request.
func (w *worker) control(ctx context.Context, verb, token string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://worker/rpipe-control", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Rpipe-Control", verb+" "+w.id+" "+token)
	r.Close = true
	resp, err := w.http.RoundTrip(r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return errNoControl
	}
	return nil
}

// errNoControl comes of an interrupt that struck the control request itself, and
// of static files that are served at every path.
var errNoControl = errors.New("httpuv: the R worker gives an unknown answer")

// prompt is how long an idle worker may take to answer.
const prompt = 500 * time.Millisecond

// stop ends the server in good order and gives the worker back: an idle one at
// once, a busy one by an interrupt, and if need be by the pool's ladder.
func (w *worker) stop() {
	w.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), prompt)
	if err := w.control(ctx, "leave", ""); err == nil {
		select {
		case <-w.ended:
		case <-ctx.Done():
		}
	}
	cancel()
	w.cancel()
	<-w.ended
	w.http.CloseIdleConnections()
	w.lease.Release()
}

// kill ends the server, and the process with it: the pool makes another.
func (w *worker) kill() {
	w.lease.Release()
	if w.http != nil {
		// An idle R looks for interrupts every two seconds; this wakes it.
		ctx, cancel := context.WithTimeout(context.Background(), prompt)
		w.control(ctx, "leave", "")
		cancel()
		defer w.http.CloseIdleConnections()
	}
	<-w.ended
	w.cancel()
}

// busy reports whether anything is under way. crew.mu is held.
func (w *worker) busy() bool { return w.requests+w.sockets > 0 || w.blocked }
