package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Upload is an object being sent in parts. One goroutine writes; the parts go
// out in others. Memory is at most (Concurrency+1) × PartSize.
type Upload struct {
	c       *Client
	l       Location
	pending Pending

	cancel context.CancelFunc
	ctx    context.Context // ends with the first part that cannot be sent
	parts  *errgroup.Group
	sent   int32 // parts handed to the group
	buf    []byte
	closed bool

	mu   sync.Mutex
	done []PendingPart
	free [][]byte // buffers of parts that were sent
}

var errUploadClosed = errors.New("the upload is closed")

// Upload begins an object. started is told the upload's id before the first part
// is sent, so that it can be put on record; its error ends the upload. ctx is
// that of the whole upload.
func (c *Client) Upload(ctx context.Context, l Location, started func(id string) error) (*Upload, error) {
	pending, err := c.begin(ctx, l)
	if err != nil {
		return nil, c.failed("write", l, err)
	}
	if started != nil {
		if err := started(pending.ID); err != nil {
			return nil, errors.Join(err, c.AbortUpload(context.WithoutCancel(ctx), l, pending.ID))
		}
	}
	u := &Upload{c: c, l: l, pending: pending}
	ctx, u.cancel = context.WithCancel(ctx)
	u.parts, u.ctx = errgroup.WithContext(ctx)
	u.parts.SetLimit(c.config.Concurrency)
	return u, nil
}

// Write implements io.Writer.
func (u *Upload) Write(p []byte) (int, error) {
	if u.closed {
		return 0, &Error{Op: "write", URL: u.l.String(), Err: errUploadClosed}
	}
	written := 0
	for len(p) > 0 {
		size := partSize(u.sent+1, int64(u.c.config.PartSize))
		n := int(min(size-int64(len(u.buf)), int64(len(p))))
		u.buf = append(grow(u.buf, n, int(size)), p[:n]...)
		p = p[n:]
		written += n
		if int64(len(u.buf)) == size {
			if err := u.send(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// grow makes room for n bytes more. It doubles, so that many small objects at
// once do not hold a whole part each, but never beyond the size of a part.
func grow(buf []byte, n, size int) []byte {
	if need := len(buf) + n; need > cap(buf) {
		larger := make([]byte, len(buf), min(max(need, 2*cap(buf), 64<<10), size))
		copy(larger, buf)
		return larger
	}
	return buf
}

// send hands the buffer to a goroutine, once there is one free.
func (u *Upload) send() error {
	if u.ctx.Err() != nil {
		return u.c.failed("write", u.l, context.Cause(u.ctx))
	}
	if u.sent == mostParts {
		return &Error{Op: "write", URL: u.l.String(), Err: fmt.Errorf("an object has at most %d parts", mostParts), Hint: "write more and smaller files, or raise part_size in the s3 block"}
	}
	u.sent++
	n, data := u.sent, u.buf
	u.parts.Go(func() error {
		part, err := u.c.sendPart(u.ctx, u.l, u.pending.ID, n, data)
		if err != nil {
			return err
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.done = append(u.done, part)
		if u.c.config.Concurrency > 1 { // one of many uploads keeps only what it needs
			u.free = append(u.free, data[:0])
		}
		return nil
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.buf = nil
	if last := len(u.free) - 1; last >= 0 {
		u.buf, u.free = u.free[last], u.free[:last]
	}
	return nil
}

// Close sends the rest and waits for all parts. The object is not visible yet.
// An upload whose Close fails is to be aborted.
func (u *Upload) Close() (*Pending, error) {
	if u.closed {
		return nil, &Error{Op: "write", URL: u.l.String(), Err: errUploadClosed}
	}
	u.closed = true
	var err error
	if len(u.buf) > 0 || u.sent == 0 { // an empty object has one part, too
		err = u.send()
	}
	if waited := u.parts.Wait(); err == nil {
		err = waited
	}
	u.cancel()
	u.buf, u.free = nil, nil
	if err != nil {
		return nil, u.c.failed("write", u.l, err)
	}
	slices.SortFunc(u.done, func(a, b PendingPart) int { return cmp.Compare(a.Number, b.Number) })
	u.pending.Parts = u.done
	return &u.pending, nil
}

// Held is how many bytes of memory the upload holds at this moment. The
// goroutine that writes may call it.
func (u *Upload) Held() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := int64(cap(u.buf)) + int64(int(u.sent)-len(u.done))*int64(u.c.config.PartSize)
	for _, b := range u.free {
		n += int64(cap(b))
	}
	return n
}

// patience is how long Abort waits for parts that are under way.
const patience = 5 * time.Second

// Abort gives the upload up and removes its parts. It may follow any call.
//
// A part that is cut off on its way may still arrive, after the upload was
// removed, and stay. So parts under way are waited for, and where that takes too
// long, or the upload's context cut them off, the server is asked afterwards.
func (u *Upload) Abort(ctx context.Context) error {
	u.closed = true
	impatient := time.AfterFunc(patience, u.cancel)
	cut := errors.Is(u.parts.Wait(), context.Canceled)
	impatient.Stop()
	u.cancel()
	u.buf, u.free = nil, nil
	for attempt := 1; ; attempt++ {
		if err := u.c.AbortUpload(ctx, u.l, u.pending.ID); err != nil || !cut || attempt == 3 {
			return err
		}
		if err := u.c.pause(ctx, attempt); err != nil {
			return u.c.failed("abort", u.l, err)
		}
		if open, err := u.c.open(ctx, u.l, u.pending.ID); err != nil || !open {
			return nil // or nobody can tell
		}
	}
}
