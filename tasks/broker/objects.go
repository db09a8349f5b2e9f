package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	smallObject = 512 << 10 // bytes of an object that is one message
	chunkSize   = 512 << 10 // bytes of those of larger ones
	chunkGroup  = 16        // chunks that are on their way, or asked for, at a time
	headChunks  = "Rp-Chunks"
)

// Objects are bytes by name: letters, digits, - and _. A small one is one message of
// the stream of blobs. That of a larger one says where its chunks are, which it has
// been stored after: so an object is there as a whole or not at all.
type Objects struct{ b *Broker }

// Objects are those of the store.
func (b *Broker) Objects() Objects { return Objects{b} }

// ObjectInfo is what is known of an object.
type ObjectInfo struct {
	Name     string
	Size     int64 // bytes
	Modified time.Time
}

// chunks say where the bytes of a large object are.
type chunks struct {
	ID   string `json:"id"` // chunk i has subject rp.d.<id>.<i>
	N    int    `json:"n"`
	Size int64  `json:"size"`
}

func blobSubject(name string) string       { return "rp.b." + name }
func chunkSubject(id string, i int) string { return "rp.d." + id + "." + strconv.Itoa(i) }

func checkObject(name string) error {
	if name == "" || len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) {
		return fmt.Errorf("%q cannot be the name of an object: use at most 128 letters, digits, - and _", name)
	}
	return nil
}

// Put stores what r gives until its end, in bounded memory, and is its size.
func (o Objects) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	size, err := o.put(ctx, name, r)
	if err != nil {
		return 0, fmt.Errorf("put object %s: %w", name, err)
	}
	return size, nil
}

func (o Objects) put(ctx context.Context, name string, r io.Reader) (int64, error) {
	if err := checkObject(name); err != nil {
		return 0, err
	}
	if err := o.b.hasRoom(); err != nil {
		return 0, err
	}
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, smallObject+1)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	m := &nats.Msg{Subject: blobSubject(name), Data: head.Bytes()}
	before, err := o.chunks(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, err
	}
	size := n
	var c chunks
	if n > smallObject {
		if c, err = o.putChunks(ctx, io.MultiReader(&head, r)); err != nil {
			return 0, err
		}
		size = c.Size
		m.Header = nats.Header{headChunks: {c.ID}}
		if m.Data, err = json.Marshal(c); err != nil {
			return 0, err
		}
	}
	if _, err := o.b.publish(ctx, m); err != nil {
		o.dropChunks(ctx, c.ID)
		return 0, err
	}
	o.dropChunks(ctx, before.ID)
	return size, nil
}

// putChunks stores the chunks of a large object, a few at a time.
func (o Objects) putChunks(ctx context.Context, r io.Reader) (c chunks, err error) {
	c.ID = nuid.Next()
	defer func() {
		if err != nil {
			o.dropChunks(context.WithoutCancel(ctx), c.ID)
		}
	}()
	for end := false; !end; {
		group := make([][]byte, 0, chunkGroup)
		for len(group) < chunkGroup && !end {
			buf := make([]byte, chunkSize)
			n, err := io.ReadFull(r, buf)
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				end = true
			case err != nil:
				return c, err
			}
			if n > 0 {
				group = append(group, buf[:n])
				c.Size += int64(n)
			}
		}
		err := o.b.hasRoom()
		if err == nil {
			err = o.putGroup(ctx, c.ID, c.N, group)
		}
		if err != nil {
			return c, err
		}
		c.N += len(group)
	}
	return c, nil
}

// putGroup stores chunks, from number first on, and waits for all of them.
func (o Objects) putGroup(ctx context.Context, id string, first int, group [][]byte) error {
	ctx, cancel := o.b.patient(ctx)
	defer cancel()
	var failed error
	message := func(i int) *nats.Msg {
		return &nats.Msg{Subject: chunkSubject(id, first+i), Data: group[i], Header: nats.Header{headExpect: {"0"}}}
	}
	err := o.b.publishAll(ctx, len(group), message, func(_ int, _ uint64, err error) bool {
		switch code, _ := apiCode(err); {
		case err == nil, code == codeWrongLast: // it is there already
		case transient(err) && o.b.over(ctx) == nil:
			return true
		case failed == nil:
			failed = err
		}
		return false
	})
	if failed == nil {
		failed = err
	}
	return o.b.final(ctx, failed)
}

// dropChunks removes chunks that nothing refers to. What it cannot remove, Sweep will.
func (o Objects) dropChunks(ctx context.Context, id string) {
	if id == "" {
		return
	}
	if err := o.b.purge(ctx, chunkStream, "rp.d."+id+".>"); err != nil {
		o.b.log.Debug("task store: chunks of an object are left", "id", id, "err", err)
	}
}

// head reads the message of an object.
func (o Objects) head(ctx context.Context, name string) (r Record, c chunks, err error) {
	if err := checkObject(name); err != nil {
		return r, c, err
	}
	r, h, err := o.b.last(ctx, blobStream, blobSubject(name))
	if err != nil {
		return r, c, err
	}
	c, err = readChunks(h.Get(headChunks) != "", r)
	return r, c, err
}

// readChunks is where the bytes of an object are; with no ID, in its message.
func readChunks(large bool, r Record) (c chunks, err error) {
	if !large {
		return chunks{Size: int64(len(r.Data))}, nil
	}
	if err := json.Unmarshal(r.Data, &c); err != nil {
		return c, fmt.Errorf("the object's message is damaged: %w", err)
	}
	return c, nil
}

func (o Objects) chunks(ctx context.Context, name string) (chunks, error) {
	_, c, err := o.head(ctx, name)
	return c, err
}

// Open reads an object, whose size it tells. ErrNotFound where there is none.
func (o Objects) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	r, c, err := o.head(ctx, name)
	if err != nil {
		return nil, 0, fmt.Errorf("object %s: %w", name, err)
	}
	if c.ID == "" {
		return io.NopCloser(bytes.NewReader(r.Data)), c.Size, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	return &objectReader{b: o.b, ctx: ctx, cancel: cancel, name: name, chunks: c}, c.Size, nil
}

// objectReader reads a large object, a group of chunks at a time.
type objectReader struct {
	b      *Broker
	ctx    context.Context
	cancel context.CancelFunc
	name   string
	chunks chunks
	next   int   // chunk
	read   int64 // bytes
	group  [][]byte
}

func (r *objectReader) Close() error {
	r.cancel()
	return nil
}

func (r *objectReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.group) == 0 {
		if r.next == r.chunks.N {
			if r.read != r.chunks.Size {
				return 0, fmt.Errorf("object %s: it has %d bytes in place of %d", r.name, r.read, r.chunks.Size)
			}
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, fmt.Errorf("object %s: %w", r.name, err)
		}
	}
	n := copy(p, r.group[0])
	if r.group[0] = r.group[0][n:]; len(r.group[0]) == 0 {
		r.group = r.group[1:]
	}
	r.read += int64(n)
	return n, nil
}

// fetch asks for the next chunks. In a cluster the server that answers may not have them
// yet.
func (r *objectReader) fetch() error {
	n := min(chunkGroup, r.chunks.N-r.next)
	place := make(map[string]int, n)
	subjects := make([]string, n)
	for i := range n {
		subjects[i] = chunkSubject(r.chunks.ID, r.next+i)
		place[subjects[i]] = i
	}
	group := make([][]byte, n)
	have := 0
	ask := map[string]any{"multi_last": subjects, "max_bytes": 2 * chunkGroup * chunkSize}
	for tries := 0; ; tries++ {
		_, _, err := r.b.directBatch(r.ctx, chunkStream, ask, func(c Record, _ *nats.Msg) error {
			if i, ok := place[c.Subject]; ok && group[i] == nil {
				group[i] = c.Data
				have++
			}
			return nil
		})
		if err != nil {
			return err
		}
		if have == n {
			r.group, r.next = group, r.next+n
			return nil
		}
		if r.b.replicas == 1 || tries == 50 {
			return fmt.Errorf("%w: %s of it: was it deleted meanwhile", ErrNotFound, plural(n-have, "chunk"))
		}
		if err := r.b.rest(r.ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// Stat is what is known of an object. ErrNotFound where there is none.
func (o Objects) Stat(ctx context.Context, name string) (ObjectInfo, error) {
	r, c, err := o.head(ctx, name)
	if err != nil {
		return ObjectInfo{}, fmt.Errorf("object %s: %w", name, err)
	}
	return ObjectInfo{name, c.Size, r.Time}, nil
}

// Delete removes an object. That there is none is no error.
func (o Objects) Delete(ctx context.Context, name string) error {
	c, err := o.chunks(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		err = o.b.purge(ctx, blobStream, blobSubject(name))
	}
	if err != nil {
		return fmt.Errorf("delete object %s: %w", name, err)
	}
	o.dropChunks(ctx, c.ID)
	return nil
}

// Expire removes an object, unless it was put or touched at or after a time, also in
// this moment. That there is none is no error.
func (o Objects) Expire(ctx context.Context, name string, before time.Time) error {
	r, c, err := o.head(ctx, name)
	if err == nil && r.Time.Before(before) {
		if err = o.b.removeOne(ctx, blobStream, r.Seq); err == nil {
			o.dropChunks(ctx, c.ID)
		}
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("expire object %s: %w", name, err)
	}
	return nil
}

// List calls f with all objects, in the order in which they came.
func (o Objects) List(ctx context.Context, f func(ObjectInfo) error) error {
	err := o.list(ctx, func(i ObjectInfo, id string) error {
		if id != "" {
			c, err := o.chunks(ctx, i.Name)
			if errors.Is(err, ErrNotFound) {
				return nil // deleted meanwhile
			}
			if err != nil {
				return err
			}
			i.Size = c.Size
		}
		return f(i)
	})
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	return nil
}

// list calls f with all objects and the id of their chunks: "" of those in one message,
// of which alone the size is known.
func (o Objects) list(ctx context.Context, f func(i ObjectInfo, id string) error) error {
	return o.heads(ctx, blobStream, "", func(m *nats.Msg, r Record) error {
		size, err := strconv.ParseInt(m.Header.Get(headSize), 10, 64)
		if err != nil {
			return fmt.Errorf("%s: size: %w", r.Subject, err)
		}
		return f(ObjectInfo{strings.TrimPrefix(r.Subject, "rp.b."), size, r.Time}, m.Header.Get(headChunks))
	})
}

// heads reads a stream without what is in its messages.
func (o Objects) heads(ctx context.Context, stream, filter string, f func(m *nats.Msg, r Record) error) error {
	return o.b.feed(ctx, subscription{stream: stream, filter: filter, once: true, heads: true}, func(ms []*nats.Msg) error {
		for _, m := range ms {
			r, err := delivered(m)
			if err == nil {
				err = f(m, r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Sweep removes what is left of large objects whose Put was cut short, if that began
// before the given time, and is how many there were.
func (o Objects) Sweep(ctx context.Context, before time.Time) (int, error) {
	stale := map[string]bool{}
	err := o.heads(ctx, chunkStream, "rp.d.*.0", func(_ *nats.Msg, r Record) error {
		if r.Time.Before(before) {
			stale[strings.Split(r.Subject, ".")[2]] = true
		}
		return nil
	})
	if err == nil {
		err = o.list(ctx, func(_ ObjectInfo, id string) error {
			delete(stale, id)
			return nil
		})
	}
	if err != nil {
		return 0, fmt.Errorf("sweep objects: %w", err)
	}
	for id := range stale {
		o.dropChunks(ctx, id)
	}
	return len(stale), nil
}
