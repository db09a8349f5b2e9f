//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/rdata"
)

// worker is one R process that answers on a link: a template, a worker that it
// forked, or one that was spawned. It implements process.
type worker struct {
	pid     int
	dir     string
	tempdir string // R's own, below dir
	link    *link
	out     *output
	group   *group
	exit    *exit
	grace   time.Duration
	isolate func(context.Context) (*worker, error) // starts a process for one request; nil in a template
	exits   bool                                   // the handler wants to hear of its end
	other   bool                                   // R runs as another user, who may not read our files
	stays   bool                                   // its files may be used by others when it has gone: it is a template, or its standby
	alone   bool                                   // a template that has no standby, which has been said; changes in turn

	busy   sync.Mutex // held by the request under way
	strike strike     // SIGINTs that are to leave the request going
	enc    rdata.Encoder
	lastID uint32
	peak   int64 // PeakRSS when last looked at

	plans    map[string]struct{} // keys of plans that R has been sent, and may still have
	nice     atomic.Int32
	rss      atomic.Int64           // when last looked at
	isolated atomic.Pointer[worker] // runs a request of ours at the moment

	death   *DiedError // set before exited is closed
	exited  chan struct{}
	cleared chan struct{} // closed when its things are gone too
}

// quick is the time below which a request is taken not to have raised the
// memory's high-water mark: reading that costs as much as a small request.
const quick = 2 * time.Millisecond

// follow waits for the end of the process, says how it died, and clears its
// things away. It is called once, in a goroutine of the owner's.
func (w *worker) follow() {
	defer close(w.cleared)
	<-w.exit.done
	w.out.finish()
	w.death = w.obituary()
	close(w.exited)
	w.link.end()
	w.clear()
	w.busy.Lock() // a request under way may still read its answer
	w.link.close()
	w.busy.Unlock()
	w.group.forget(w.pid)
}

// clear removes the files of a process that has gone. It comes before Go's ends of
// the FIFOs are closed: who opens one that nobody holds open waits for ever.
func (w *worker) clear() {
	if !w.stays {
		os.RemoveAll(w.dir)
		return
	}
	for _, name := range []string{"in", "out", "log"} {
		os.Remove(filepath.Join(w.dir, name))
	}
}

func (w *worker) obituary() *DiedError {
	d := &DiedError{Pid: w.pid, RSS: w.rss.Load(), Stderr: w.out.lastLines()}
	switch status := w.exit.status; {
	case !w.exit.reaped:
		d.ExitStatus = -1
	case status.Signaled():
		d.Signal = unix.SignalName(status.Signal())
		d.OutOfMemory = status.Signal() == unix.SIGKILL && memoryKills.risen()
	default:
		d.ExitStatus = status.ExitStatus()
	}
	return d
}

// memoryKills tells whether the kernel has killed something for want of memory
// since it was last asked, or since the first launch.
var memoryKills killCounter

type killCounter struct {
	mu      sync.Mutex
	seen    int64
	counted bool
}

func (c *killCounter) risen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, counted := c.seen, c.counted
	c.seen, c.counted = oomKills(), true
	return counted && c.seen > before
}

// begin counts from now on, if nobody does yet.
func (c *killCounter) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.counted {
		c.seen, c.counted = oomKills(), true
	}
}

func (w *worker) Pid() int                { return w.pid }
func (w *worker) Exited() <-chan struct{} { return w.exited }

func (w *worker) Death() *DiedError {
	if !isClosed(w.exited) {
		return nil
	}
	return w.death
}

// RSS counts the process of an isolated request too, but for the pages that it
// shares with its template, and so with this one.
func (w *worker) RSS() int64 {
	n := w.resident()
	once := w.isolated.Load()
	if once == nil {
		return n
	}
	its := once.resident()
	if private, known := privateBytes(once.pid); known {
		return n + private
	}
	return max(n, its)
}

// CPU counts the process of an isolated request too.
func (w *worker) CPU() time.Duration {
	d := cpuTime(w.pid)
	if once := w.isolated.Load(); once != nil {
		d += cpuTime(once.pid)
	}
	return d
}

// resident is the memory of this process alone, and kept for its obituary.
func (w *worker) resident() int64 {
	n := residentBytes(w.pid)
	if n > 0 {
		w.rss.Store(n)
	}
	return n
}

func (w *worker) Nice(n int) error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, w.pid, n); err != nil {
		return fmt.Errorf("rpool: set the priority of R worker %d to %d: %w", w.pid, n, err)
	}
	w.nice.Store(int32(n))
	return nil
}

// Stop lets R come to the end of its input, and helps where it does not end.
func (w *worker) Stop() {
	w.farewell()
	w.link.hangUp()
	if !w.endsWithin(w.grace) {
		w.descend(unix.SIGTERM, nil)
	}
	<-w.cleared
}

// farewell has R call the handler's attribute "exit". After the grace time it is
// interrupted, and killed where it does not listen.
func (w *worker) farewell() {
	if !w.exits || isClosed(w.exited) {
		return
	}
	w.busy.Lock()
	defer w.busy.Unlock()
	watch := w.watch(context.Background(), &Request{Timeout: w.grace})
	w.enc.Reset()
	clear(w.enc.Grow(headerSize))
	if _, _, err := w.roundTrip(frameExit, finish(&w.enc, nil)); err != nil {
		w.failed(err)
	}
	watch.end()
}

// kill ends the process at once and waits until it has gone.
func (w *worker) kill() {
	w.group.signal(w.pid, unix.SIGKILL)
	<-w.exited
}

func (w *worker) endsWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.exited:
		return true
	case <-t.C:
		return false
	}
}

// Do runs one request.
func (w *worker) Do(ctx context.Context, r *Request) (*Reply, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Isolate {
		return w.doIsolated(ctx, r)
	}
	w.busy.Lock()
	defer w.busy.Unlock()
	if d := w.Death(); d != nil {
		return nil, d
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r, err := w.legible(r)
	if err != nil {
		return nil, err
	}
	s := w.encode(r)
	if s.err != nil {
		return nil, s.err
	}
	if s.size() > w.link.limit {
		return nil, &FrameSizeError{Size: s.size(), Limit: w.link.limit, Request: true}
	}
	start := time.Now()
	capture := !r.Aloud && r.Events == nil
	switch {
	case capture:
		w.out.begin()
	case r.Events != nil:
		w.out.listen(r.Events)
	}
	if r.Began != nil {
		r.Began(w.pid)
	}
	watch := w.watch(ctx, r)
	w.strike.open()
	h, payload, err := w.roundTrip(frameKind(r.Kind), s)
	if err == nil && h.kind == frameUnknown {
		h, payload, err = w.teach(r)
	}
	struck := w.strike.shut()
	if err != nil {
		err = w.failed(err)
	}
	halted := watch.end()
	text := ""
	switch {
	case capture:
		text = w.captured()
	case r.Events != nil:
		w.out.unlisten()
	}
	switch {
	case halted != nil:
		w.recover(halted)
	case struck:
		w.recover(&halt{})
	}
	if err != nil {
		if died := (*DiedError)(nil); halted != nil && errors.As(err, &died) {
			return nil, halted.err()
		}
		return nil, err
	}
	reply, err := w.decode(h, payload)
	if err == nil && r.Kind == Task {
		err = reply.claim(r)
	}
	if err == nil && r.Kind == HTTP {
		// Frameworks make an answer of whatever befalls them, of an interrupt too.
		if halted != nil {
			return nil, halted.err()
		}
		reply.HTTP, err = decodeHTTP(reply.Data)
		reply.Data = nil
	}
	if err != nil {
		if c := (*ConditionError)(nil); errors.As(err, &c) {
			c.Output = text
			if halted != nil {
				return nil, halted.err()
			}
		}
		return nil, err
	}
	reply.Output, reply.Pid = text, w.pid
	if w.peak == 0 || time.Since(start) > quick && r.Kind != HTTP {
		w.peak = peakBytes(w.pid)
	}
	reply.PeakRSS = w.peak
	return reply, nil
}

// captured is what the request that has just ended has printed.
func (w *worker) captured() string {
	text, dropped := w.out.end()
	if dropped > 0 {
		text += fmt.Sprintf("\n[%d bytes more]\n", dropped)
	}
	return text
}

// decode reads the answer to a request.
func (w *worker) decode(h header, payload []byte) (*Reply, error) {
	switch h.kind {
	case frameValue:
		return decodeValue(payload)
	case frameResult:
		return decodeResult(payload)
	case frameCondition:
		c, err := decodeCondition(payload)
		if err != nil {
			return nil, err
		}
		return nil, c
	}
	return nil, errReply
}

// legible is r, with bytes in place of a file where R may not read our files, as
// its answers have them then: see send_files in http.R. It is called with the worker
// at hand, so that there is one such body in memory for each.
func (w *worker) legible(r *Request) (*Request, error) {
	if w.other && r.Kind == Task {
		own := *r
		var err error
		own.Task, err = r.Task.readable()
		return &own, err
	}
	if !w.other || r.Kind != HTTP || r.HTTP.File == "" {
		return r, nil
	}
	info, err := os.Stat(r.HTTP.File)
	if err != nil {
		return nil, fmt.Errorf("rpool: read the body of a request: %w", err)
	}
	if info.Size() > w.link.limit {
		return nil, &FrameSizeError{Size: info.Size(), Limit: w.link.limit, Request: true}
	}
	h, own := *r.HTTP, *r
	if h.Body, err = os.ReadFile(h.File); err != nil {
		return nil, fmt.Errorf("rpool: read the body of a request: %w", err)
	}
	h.File, own.HTTP = "", &h
	return &own, nil
}

// doIsolated runs r in a process of its own that ends with it. That process may
// die; this one lives on.
func (w *worker) doIsolated(ctx context.Context, r *Request) (*Reply, error) {
	if d := w.Death(); d != nil {
		return nil, d
	}
	once, err := w.isolate(ctx)
	if err != nil {
		return nil, err
	}
	w.isolated.Store(once)
	defer w.isolated.Store(nil)
	defer once.Stop()
	if n := int(w.nice.Load()); n > 0 {
		if err := once.Nice(n); err != nil {
			return nil, err
		}
	}
	alone := *r
	alone.Isolate = false
	return once.Do(ctx, &alone)
}

// roundTrip sends one frame and receives its answer.
func (w *worker) roundTrip(kind frameKind, s splice) (header, []byte, error) {
	w.lastID = (w.lastID + 1) & (1<<31 - 1)
	s.seal(w.lastID, kind)
	if err := w.link.write(s); err != nil {
		return header{}, nil, err
	}
	for {
		h, payload, err := w.link.read()
		if err == nil && h.kind == frameProgress {
			if h.id == w.lastID {
				w.out.empty()
				w.out.tell(&Event{Progress: payload})
			}
			continue
		}
		if err != nil || h.id == w.lastID {
			return h, payload, err
		}
		// A late frame: the pid that the process between told, or the answer to
		// what was given up.
	}
}

// failed turns an error of the link into the worker's end: a closed pipe is a
// hint that the process is about to be reaped, anything else leaves a process
// that is of no use any more.
func (w *worker) failed(err error) error {
	gone := brokenPipe(err) || errors.Is(err, os.ErrDeadlineExceeded)
	if !gone || !w.endsWithin(w.grace) {
		w.kill()
	}
	if gone {
		return w.death
	}
	return err
}

// ask sends a frame that is no user's request and waits for the answer until ctx
// ends, which leaves the answer to be skipped by the next.
func (w *worker) ask(ctx context.Context, kind frameKind, s splice) (header, []byte, error) {
	if s.err != nil {
		return header{}, nil, s.err
	}
	w.busy.Lock()
	defer w.busy.Unlock()
	if d := w.Death(); d != nil {
		return header{}, nil, d
	}
	release := w.link.until(ctx)
	h, payload, err := w.roundTrip(kind, s)
	release()
	if err == nil {
		return h, payload, nil
	}
	if ctx.Err() != nil && !isClosed(w.exited) {
		return header{}, nil, context.Cause(ctx)
	}
	return header{}, nil, w.failed(err)
}

// errNotReady is the cause where R took longer than Options.StartTimeout.
var errNotReady = errors.New("no sign of life in time")
