package broker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// random gives size bytes, the same ones for the same size.
func random(size int) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}), int64(size))
}

// same reads an object and compares it with random.
func same(t testing.TB, b *Broker, name string, size int) {
	t.Helper()
	r, n, err := b.Objects().Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(random(size))
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(size) || !bytes.Equal(got, want) {
		t.Errorf("object %s: %d bytes of %d, %d announced; equal: %v", name, len(got), size, n, bytes.Equal(got, want))
	}
}

func TestObjects(t *testing.T) {
	b := open(t)
	o := b.Objects()
	ctx := within(t)
	sizes := []int{0, 1, smallObject, smallObject + 1, 2 * chunkSize, chunkGroup*chunkSize + 1, 2*chunkGroup*chunkSize + 12345}
	var names []string
	for _, size := range sizes {
		name := "o-" + itoa(size)
		names = append(names, name)
		// One that reads a few bytes at a time, as from the network.
		n, err := o.Put(ctx, name, struct{ io.Reader }{random(size)})
		if err != nil || n != int64(size) {
			t.Fatalf("put %s: %d, %v", name, n, err)
		}
		same(t, b, name, size)
		if info, err := o.Stat(ctx, name); err != nil || info.Size != int64(size) || info.Name != name || time.Since(info.Modified) > time.Minute {
			t.Errorf("stat %s: %+v, %v", name, info, err)
		}
	}
	list := func() (all []string) {
		err := o.List(ctx, func(i ObjectInfo) error {
			all = append(all, i.Name)
			if i.Name != "o-"+itoa(int(i.Size)) {
				t.Errorf("listed %+v", i)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return all
	}
	if got := list(); !slices.Equal(got, names) {
		t.Errorf("list %q, want %q", got, names)
	}
	// Put again: the old chunks go.
	big := names[len(names)-1]
	if _, err := o.Put(ctx, big, random(sizes[len(sizes)-1])); err != nil {
		t.Fatal(err)
	}
	same(t, b, big, sizes[len(sizes)-1])
	for _, name := range append(names, "never-there") {
		if err := o.Delete(ctx, name); err != nil {
			t.Error(err)
		}
	}
	if got := list(); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	if info, err := b.info(ctx, chunkStream); err != nil || info.State.Msgs != 0 {
		t.Errorf("%d chunks are left, %v", info.State.Msgs, err)
	}
	if _, _, err := o.Open(ctx, big); !errors.Is(err, ErrNotFound) {
		t.Errorf("open of a deleted one: %v", err)
	}
	if _, err := o.Stat(ctx, big); !errors.Is(err, ErrNotFound) {
		t.Errorf("stat of a deleted one: %v", err)
	}
	for _, name := range []string{"", "a b", "a.b", "a/../b", "*"} {
		if _, err := o.Put(ctx, name, random(1)); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
}

// broken fails after some bytes.
type broken struct {
	r   io.Reader
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.err
	}
	return n, err
}

func TestHalfAnObjectIsNone(t *testing.T) {
	b := open(t)
	o := b.Objects()
	ctx := within(t)
	mine := errors.New("mine")
	for _, size := range []int{100, 20 * chunkSize} {
		if _, err := o.Put(ctx, "half", broken{random(size), mine}); !errors.Is(err, mine) {
			t.Errorf("put of a reader that fails after %d: %v", size, err)
		}
		if _, err := o.Stat(ctx, "half"); !errors.Is(err, ErrNotFound) {
			t.Errorf("after it: %v", err)
		}
	}
	// The process died: chunks without an object.
	if err := o.putGroup(ctx, "orphan", 0, [][]byte{make([]byte, 10), make([]byte, 10)}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Put(ctx, "whole", random(2*chunkSize)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		before time.Time
		n      int
	}{{time.Now().Add(-time.Minute), 0}, {time.Now().Add(time.Minute), 1}, {time.Now().Add(time.Minute), 0}} {
		if n, err := o.Sweep(ctx, s.before); n != s.n || err != nil {
			t.Errorf("swept %d, %v; want %d", n, err, s.n)
		}
	}
	same(t, b, "whole", 2*chunkSize)
	short, cancel := context.WithCancel(ctx)
	r, _, err := o.Open(short, "whole")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read with a context that has ended: %v", err)
	}
}

// TestExpire: what is touched in the moment in which it expires stays, with its chunks.
func TestExpire(t *testing.T) {
	b := open(t)
	o := b.Objects()
	ctx := within(t)
	stayed := 0
	for i := range 40 {
		name, size := "o"+itoa(i), []int{10, smallObject + 1}[i%2]
		if _, err := o.Put(ctx, name, random(size)); err != nil {
			t.Fatal(err)
		}
		cut := time.Now()
		if err := o.Expire(ctx, name, cut.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		same(t, b, name, size)
		done := make(chan error)
		go func() { done <- o.Expire(ctx, name, cut) }()
		touched := o.Touch(ctx, name)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if touched == nil {
			stayed++
			same(t, b, name, size)
		} else if !errors.Is(touched, ErrNotFound) {
			t.Fatal(touched)
		}
	}
	t.Logf("%d of 40 were touched in time", stayed)
	if err := o.Expire(ctx, "never-there", time.Now()); err != nil {
		t.Error(err)
	}
}

// TestListOfDeleted: an object that goes while it is listed is passed over, and listing
// does not read what is in objects.
func TestListOfDeleted(t *testing.T) {
	b := open(t)
	o := b.Objects()
	ctx := within(t)
	for _, name := range []string{"a", "b"} {
		if _, err := o.Put(ctx, name, random(smallObject+1)); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	err := o.List(ctx, func(i ObjectInfo) error {
		all = append(all, i.Name)
		return o.Delete(ctx, "b")
	})
	if err != nil || !slices.Equal(all, []string{"a"}) {
		t.Errorf("listed %q, %v", all, err)
	}
	if err := o.heads(ctx, chunkStream, "", func(_ *nats.Msg, r Record) error {
		if len(r.Data) > 0 {
			t.Errorf("%s came with %d bytes", r.Subject, len(r.Data))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestExportInParts: a backup of large objects holds a few of their chunks at a time.
func TestExportInParts(t *testing.T) {
	b := open(t)
	ctx := within(t)
	if _, err := b.Objects().Put(ctx, "large", random(4*chunkGroup*chunkSize)); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := b.export(ctx, chunkStream, func(es []entry) error {
		if n == 0 {
			time.Sleep(200 * time.Millisecond) // a slow disk: what comes meanwhile is held
		}
		if n += len(es); len(es) > chunkGroup {
			t.Errorf("%d chunks at a time", len(es))
		}
		return nil
	})
	if err != nil || n != 4*chunkGroup {
		t.Errorf("%d chunks, %v", n, err)
	}
}
