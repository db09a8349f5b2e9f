package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// each runs a test with every place for blobs.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	run := func(name string, o Options) {
		t.Run(name, func(t *testing.T) {
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, s)
		})
	}
	b, err := broker.Open(t.Context(), broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	run("broker", Options{Objects: b.Objects()})
	run("directory", Options{Dir: filepath.Join(t.TempDir(), "shared", "blobs")})
	server := s3test.Start(t)
	run("s3", Options{S3: store.Location{Bucket: server.Bucket(t), Key: "some/where"}, S3Client: server.Client(t)})
}

// big is n bytes that no compression shortens, from a Reader that cannot Seek.
func big(n int64) io.Reader { return struct{ io.Reader }{io.LimitReader(&noise{x: 1}, n)} }

type noise struct{ x uint64 }

func (n *noise) Read(p []byte) (int, error) {
	for i := range p {
		n.x ^= n.x << 13
		n.x ^= n.x >> 7
		n.x ^= n.x << 17
		p[i] = byte(n.x)
	}
	return len(p), nil
}

func TestWhatWasPutCanBeRead(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for _, size := range []int64{0, 1, maxHeld - 1, maxHeld, maxHeld + 1, 20 << 20} {
			want, _ := io.ReadAll(big(size))
			f, err := os.Create(filepath.Join(t.TempDir(), "f"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			fmt.Fprint(f, "before ")
			f.Write(want)
			if _, err := f.Seek(7, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			for name, r := range map[string]io.Reader{"stream": big(size), "file": f} {
				ref, n, err := s.Put(ctx, r)
				if err != nil || n != size || ref != reference(want) {
					t.Fatalf("%s of %d bytes: %s, %d bytes, %v", name, size, ref, n, err)
				}
			}
			ref := reference(want)
			if n, modified, err := s.Stat(ctx, ref); err != nil || n != size || time.Since(modified).Abs() > time.Hour {
				t.Errorf("%d bytes: Stat says %d, %v, %v", size, n, modified, err)
			}
			for _, pass := range []string{"first", "second"} {
				b, err := s.Bytes(ctx, ref, size)
				if err != nil || !bytes.Equal(b, want) {
					t.Errorf("%d bytes: Bytes for the %s time: %d, %v", size, pass, len(b), err)
				}
				if _, err := s.Bytes(ctx, ref, size-1); size > 0 && !errors.Is(err, ErrTooLarge) {
					t.Errorf("%d bytes, one fewer allowed: %v", size, err)
				}
			}
			r, n, err := s.Open(ctx, ref)
			if err != nil || n != size {
				t.Fatal(n, err)
			}
			if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, want) {
				t.Errorf("%d bytes: Open: %d, %v", size, len(b), err)
			}
			r.Close()
			path, release, err := s.File(ctx, ref)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, want) {
				t.Errorf("%d bytes: File: %d, %v", size, len(b), err)
			}
			release()
			release()
		}
	})
}

func TestPlacesThatCanTouchDo(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		place, ok := s.objects.(toucher)
		if !ok {
			t.Skip("it cannot")
		}
		ctx := t.Context()
		for _, content := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large"), 1<<20)} {
			ref, err := s.PutBytes(ctx, content)
			if err != nil {
				t.Fatal(err)
			}
			_, before, err := s.Stat(ctx, ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := place.Touch(ctx, ref); err != nil {
				t.Fatal(err)
			}
			if size, after, err := s.Stat(ctx, ref); err != nil || !after.After(before) || size != int64(len(content)) {
				t.Errorf("%d bytes of %v, before %v, %v", size, after, before, err)
			}
			if b, err := s.Bytes(ctx, ref, 10<<20); err != nil || !bytes.Equal(b, content) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		}
		if err := place.Touch(ctx, reference([]byte("never put"))); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestBlobsAreListedAndDeleted(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		want := map[string]int64{}
		for i := range 20 {
			b := []byte(strings.Repeat("x", i))
			ref, err := s.PutBytes(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			want[ref] = int64(i)
		}
		list := func() map[string]int64 {
			got := map[string]int64{}
			err := s.List(ctx, func(ref string, size int64, modified time.Time) error {
				if _, ok := got[ref]; ok || time.Since(modified).Abs() > time.Hour {
					t.Errorf("%s again, or of %v", ref, modified)
				}
				got[ref] = size
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := list(); !maps.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		enough := errors.New("enough")
		if err := s.List(ctx, func(string, int64, time.Time) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("a List that its function ends: %v", err)
		}
		gone := slices.Collect(maps.Keys(want))[:7]
		if err := s.Delete(ctx, append(gone, reference([]byte("never put")))...); err != nil {
			t.Fatal(err)
		}
		for _, ref := range gone {
			delete(want, ref)
			if _, err := s.Bytes(ctx, ref, 100); !errors.Is(err, ErrNotFound) {
				t.Errorf("a deleted blob: %v", err)
			}
		}
		if got := list(); !maps.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx, ref := t.Context(), reference([]byte("never put"))
		_, _, err := s.Open(ctx, ref)
		_, err2 := s.Bytes(ctx, ref, 10)
		_, _, err3 := s.File(ctx, ref)
		_, _, err4 := s.Stat(ctx, ref)
		for _, err := range []error{err, err2, err3, err4} {
			if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), ref[:12]) {
				t.Errorf("got %v", err)
			}
		}
		for _, bad := range []string{"", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("../", 21) + "x", ref + "0"} {
			_, _, err := s.Open(ctx, bad)
			_, err2 := s.Bytes(ctx, bad, 10)
			_, _, err3 := s.File(ctx, bad)
			_, _, err4 := s.Stat(ctx, bad)
			for _, err := range []error{err, err2, err3, err4, s.Delete(ctx, bad)} {
				if err == nil || !strings.Contains(err.Error(), "is not the name of a blob") {
					t.Errorf("%q: %v", bad, err)
				}
			}
		}
	})
}

func TestAFailedPutLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		broken := errors.New("the line is cut")
		for _, size := range []int64{10, 20 << 20} {
			_, _, err := s.Put(t.Context(), io.MultiReader(big(size), failing{broken}))
			if !errors.Is(err, broken) {
				t.Errorf("%d bytes and an error: %v", size, err)
			}
		}
		// a file that changes between its two readings
		if _, _, err := s.Put(t.Context(), &fickle{Reader: bytes.NewReader(make([]byte, 20<<20))}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a file that changes: %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(broken)
		if _, _, err := s.Put(ctx, big(20<<20)); !errors.Is(err, broken) {
			t.Errorf("cancelled: %v", err)
		}
		err := s.List(t.Context(), func(ref string, size int64, _ time.Time) error {
			return fmt.Errorf("%s of %d bytes is there", ref, size)
		})
		if err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(s.cache.dir); len(left) > 0 {
			t.Errorf("%v is left in the cache", left)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// fickle is a file whose content is another after each Seek to its begin.
type fickle struct {
	*bytes.Reader
	seeks byte
}

func (f *fickle) Seek(offset int64, whence int) (int64, error) {
	f.seeks++
	return f.Reader.Seek(offset, whence)
}

func (f *fickle) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	for i := range p[:n] {
		p[i] = f.seeks
	}
	return n, err
}

func TestOnePlaceIsSet(t *testing.T) {
	for _, o := range []Options{{}, {Dir: t.TempDir(), S3: store.Location{Bucket: "b"}}} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "must be one of") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestExpire: what was put or renewed since stays.
func TestExpire(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		ref, err := s.PutBytes(ctx, []byte("old"))
		if err != nil {
			t.Fatal(err)
		}
		for _, before := range []time.Duration{-time.Hour, time.Hour} {
			if err := s.Expire(ctx, ref, time.Now().Add(before)); err != nil {
				t.Error(err)
			}
			if _, _, err := s.Stat(ctx, ref); errors.Is(err, ErrNotFound) != (before > 0) {
				t.Errorf("what was put before now and %s: %v", before, err)
			}
		}
		if err := s.Expire(ctx, ref, time.Now().Add(time.Hour)); err != nil {
			t.Errorf("what is not there: %v", err)
		}
		if err := s.Sweep(ctx, time.Now()); err != nil {
			t.Error(err)
		}
	})
}
