package httpuv

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// isWebsocket tells the one upgrade that httpuv knows; it drops connections that
// ask for others.
func isWebsocket(r *http.Request) bool {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false
	}
	for _, list := range r.Header["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "upgrade") {
				return true
			}
		}
	}
	return false
}

// tunnel passes a websocket on and returns when it is closed.
func (t *Transport) tunnel(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) {
	for {
		a := ask{socket: true, prefer: t.preferred(r)}
		start := time.Now()
		worker, err := t.crew.take(r.Context(), a)
		x.Queue += time.Since(start)
		if err != nil {
			t.o.Fault.Write(w, r, err)
			return
		}
		x.Attempts++
		x.Worker = worker.lease.Pid()
		again, err := t.connect(w, r, x, worker, a)
		t.crew.give(worker, a)
		switch {
		case err == nil:
			return
		case again && x.Attempts < 2:
		default:
			t.o.Fault.Write(w, r, err)
			return
		}
	}
}

// connect opens a worker's end of a websocket and carries it on. An error means
// that nothing has been answered yet; again, that another worker may be asked.
func (t *Transport) connect(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, worker *worker, a ask) (again bool, err error) {
	ctx := r.Context()
	if t.o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.o.Timeout, &rpool.TimeoutError{After: t.o.Timeout, Step: "SIGINT"})
		defer cancel()
	}
	up, err := worker.dial(ctx, "", "")
	if err != nil {
		return true, lost(ctx, worker, err)
	}
	defer up.Close()
	stop := context.AfterFunc(ctx, func() { up.SetDeadline(time.Unix(1, 0)) })
	out := &http.Request{Method: r.Method, URL: target(r.URL), Host: r.Host, Header: t.requestHeader(r, x, ""), ProtoMajor: 1, ProtoMinor: 1}
	out.Header.Set("Connection", "Upgrade")
	out.Header.Set("Upgrade", "websocket")
	from := bufio.NewReader(up)
	var resp *http.Response
	if err = out.Write(up); err == nil {
		resp, err = http.ReadResponse(from, out)
	}
	if err != nil || !stop() {
		return ctx.Err() == nil, lost(ctx, worker, err) // after the time limit another would be no faster
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		up.SetDeadline(time.Now().Add(t.o.Grace))
		t.answerHead(w, resp, x, a, worker)
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
		return false, nil
	}
	h := w.Header()
	for name, values := range resp.Header {
		h[name] = append(h[name], values...)
	}
	t.stick(h, x, a.prefer, worker.id)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false, fault.New(http.StatusNotImplemented, "no_upgrade", "a websocket needs HTTP/1.1")
	}
	defer conn.Close()
	conn.SetDeadline(time.Time{})
	if err := writeHead(conn, resp.StatusCode, h); err != nil {
		return false, nil
	}
	pipe := &pipe{client: conn, fromClient: buffered.Reader, worker: up, fromWorker: from}
	pipe.run(r.Context(), t.crew.hung, worker, t.o.Config.Websocket)
	return false, nil
}

// lost is why a worker gave no answer to the opening of a websocket.
func lost(ctx context.Context, w *worker, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	late := time.NewTimer(time.Second)
	defer late.Stop()
	select {
	case <-w.ended:
	case <-late.C:
	}
	var died *rpool.DiedError
	if isClosed(w.ended) && errors.As(w.err, &died) {
		return died
	}
	return &fault.Fault{Status: http.StatusBadGateway, Reason: "worker_died", Message: "the R worker broke off", Err: err}
}

func writeHead(c net.Conn, status int, h http.Header) error {
	b := bufio.NewWriter(c)
	b.WriteString("HTTP/1.1 101 " + http.StatusText(status) + "\r\n")
	h.Write(b)
	b.WriteString("\r\n")
	return b.Flush()
}

// pipe is an open websocket: two connections and what was read from them ahead.
type pipe struct {
	client, worker         net.Conn
	fromClient, fromWorker *bufio.Reader
	last                   atomic.Int64 // when a byte went through, Unix nanoseconds
}

// lingering is how long the worker has to close after the client has.
const lingering = 5 * time.Second

// run carries bytes both ways until both sides have closed, or something ends it.
func (p *pipe) run(ctx context.Context, hung <-chan struct{}, w *worker, limit Websocket) {
	p.last.Store(time.Now().UnixNano())
	var sent frames // by the worker
	up, down := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(up)
		p.carry(p.worker, p.fromClient, nil)
	}()
	go func() {
		defer close(down)
		p.carry(p.client, p.fromWorker, &sent)
	}()
	code, reason := p.wait(ctx, hung, up, down, w, limit)
	if code == 0 && isClosed(down) && !sent.closed && w.endsWithin(dying) {
		code, reason = serviceRestart, workerEnded
	}
	// Wake whoever still reads; what they have passed on is known once they have ended.
	p.worker.SetReadDeadline(time.Unix(1, 0))
	p.client.SetReadDeadline(time.Unix(1, 0))
	p.worker.SetWriteDeadline(time.Now().Add(time.Second))
	p.client.SetWriteDeadline(time.Now().Add(time.Second))
	<-down
	if code != 0 && sent.between() {
		p.client.Write(closeFrame(code, reason))
	}
	p.client.Close()
	p.worker.Close()
	<-up
}

// wait is until the tunnel is to end, and with which code if its client does not
// know yet.
func (p *pipe) wait(ctx context.Context, hung, up, down <-chan struct{}, w *worker, limit Websocket) (code uint16, reason string) {
	over := ctx.Done()
	var old, idle <-chan time.Time
	if limit.MaxAge > 0 {
		t := time.NewTimer(time.Duration(limit.MaxAge))
		defer t.Stop()
		old = t.C
	}
	var quiet *time.Timer
	if limit.IdleTimeout > 0 {
		quiet = time.NewTimer(time.Duration(limit.IdleTimeout))
		defer quiet.Stop()
		idle = quiet.C
	}
	var linger <-chan time.Time
	for {
		select {
		case <-up: // the worker may still have something to say
			up = nil
			t := time.NewTimer(lingering)
			defer t.Stop()
			linger = t.C
		case <-down:
			return 0, ""
		case <-linger:
			return 0, ""
		case <-hung:
			return goingAway, "the server is going away"
		case <-over: // the front has waited for us as long as it may; the crew ends after it
			if errors.Is(context.Cause(ctx), fault.ErrDraining) {
				return goingAway, "the server is going away"
			}
			over = nil
		case <-w.ended:
			return serviceRestart, workerEnded
		case <-old:
			return goingAway, "the connection is too old"
		case <-idle:
			if left := time.Duration(limit.IdleTimeout) - time.Since(time.Unix(0, p.last.Load())); left > 0 {
				quiet.Reset(left)
				continue
			}
			return goingAway, "the connection was idle"
		}
	}
}

const workerEnded = "the R worker has ended"

// dying is how long it takes at most to know of a worker's death after its
// connections broke.
const dying = time.Second

func (w *worker) endsWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.ended:
		return true
	case <-t.C:
		return false
	}
}

// carry passes bytes on until one side ends, and tells the other that no more
// will come.
func (p *pipe) carry(to net.Conn, from *bufio.Reader, passed *frames) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.last.Store(time.Now().UnixNano())
			m, err := to.Write(buf[:n])
			if passed != nil {
				passed.advance(buf[:m])
			}
			if err != nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	if passed != nil {
		return // a close frame of ours may have to follow
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}
