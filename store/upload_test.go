package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestAnUploadIsInvisibleUntilItIsCompleted(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		f := func(size int) {
			t.Helper()
			l := store.Location{Bucket: s.Bucket(t), Key: "out/part.parquet"}
			data := noise(size)
			p := upload(t, c, l, data)
			if _, err := c.Stat(t.Context(), l); !errors.Is(err, store.ErrNotExist) {
				t.Fatalf("it is there before Complete: %v", err)
			}
			if err := c.Complete(t.Context(), l, p, int64(size), false); err != nil {
				t.Fatal(err)
			}
			o, err := c.Stat(t.Context(), l)
			if err != nil || o.Size != int64(size) || o.Modified.IsZero() {
				t.Fatalf("%+v %v", o, err)
			}
			r, err := c.Open(t.Context(), o, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes of %d, %v", len(got), size, err)
			}
			if got, err := os.ReadFile(s.Path(l)); err != nil || !bytes.Equal(got, data) {
				t.Fatal(err)
			}
		}
		f(0)
		f(1)
		f(8 << 20)
		f(8<<20 + 1)
		f(37 << 20)
	}
}

func TestAnUploadIsOnRecordBeforeItsFirstPart(t *testing.T) {
	s := s3test.Start(t)
	var parts atomic.Int32
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Query().Has("partNumber") {
			parts.Add(1)
		}
		next.ServeHTTP(w, r)
	}))
	bucket := s.Bucket(t)
	l := store.Location{Bucket: bucket, Key: "k"}
	var id string
	u, err := c.Upload(t.Context(), l, func(started string) error {
		if id = started; parts.Load() > 0 {
			t.Error("a part went before the record")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := u.Close()
	if err != nil || id == "" || p.ID != id {
		t.Fatalf("recorded %q, %+v %v", id, p, err)
	}
	if err := c.AbortUpload(t.Context(), l, id); err != nil {
		t.Fatal(err)
	}

	full := errors.New("disk full")
	if _, err := c.Upload(t.Context(), l, func(string) error { return full }); !errors.Is(err, full) {
		t.Errorf("error %v, want that of the record", err)
	}
	if n := s.OpenUploads(t, bucket); n != 0 {
		t.Errorf("%d uploads stay open", n)
	}
}

func TestAnAbortedUploadLeavesNothing(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		bucket := s.Bucket(t)
		l := store.Location{Bucket: bucket, Key: "k"}
		f := func(before func(u *store.Upload)) {
			t.Helper()
			u, err := c.Upload(t.Context(), l, nil)
			if err != nil {
				t.Fatal(err)
			}
			before(u)
			if s.OpenUploads(t, bucket) == 0 { // more, while parts arrive: the server counts their files
				t.Fatal("no upload is open before Abort")
			}
			for range 2 {
				if err := u.Abort(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := s.OpenUploads(t, bucket); n != 0 {
				t.Errorf("%d uploads stay open", n)
			}
			if _, err := u.Write([]byte("x")); err == nil {
				t.Error("a write after Abort succeeds")
			}
			if _, err := u.Close(); err == nil {
				t.Error("Close after Abort succeeds")
			}
		}
		f(func(*store.Upload) {})
		f(func(u *store.Upload) { send(t, u, noise(20<<20)) })
		f(func(u *store.Upload) {
			send(t, u, noise(9<<20))
			if _, err := u.Close(); err != nil {
				t.Fatal(err)
			}
		})
		if err := c.AbortUpload(t.Context(), l, "nosuchupload"); err != nil {
			t.Errorf("an upload that is gone: %v", err)
		}
	}
}

func TestAnUploadEndsWithItsContext(t *testing.T) {
	s := s3test.Start(t)
	c := s.Client(t)
	bucket := s.Bucket(t)
	ctx, cancel := context.WithCancel(t.Context())
	u, err := c.Upload(ctx, store.Location{Bucket: bucket, Key: "k"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, u, noise(20<<20))
	cancel()
	if _, err := u.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("Close returns %v", err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.OpenUploads(t, bucket); n != 0 {
		t.Errorf("%d uploads stay open", n)
	}
}

func TestAPartThatCannotBeSentFailsTheUpload(t *testing.T) {
	s := s3test.Start(t)
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Query().Get("partNumber") == "2" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	}))
	u, err := c.Upload(t.Context(), store.Location{Bucket: s.Bucket(t), Key: "k"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Abort(t.Context())
	data := noise(8 << 20)
	for range 100 {
		if _, err = u.Write(data); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("100 parts were taken after the second was refused")
	}
	if _, err := u.Close(); err == nil {
		t.Error("Close succeeds")
	}
}

// The server holds answers back until as many parts are under way as may be.
func TestPartsGoOutAtOnceButNoMoreThanConcurrency(t *testing.T) {
	s := s3test.Start(t)
	const most = 4
	var under, peak, seen atomic.Int32
	all := make(chan struct{})
	config := s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Query().Has("partNumber") {
			n := under.Add(1)
			defer under.Add(-1)
			for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
			}
			if seen.Add(1) == most {
				close(all)
			}
			<-all
		}
		next.ServeHTTP(w, r)
	})
	config.Concurrency, config.PartSize = most, 5<<20
	c := hurried(t, config)
	l := store.Location{Bucket: s.Bucket(t), Key: "k"}
	data := noise(60 << 20)
	p := upload(t, c, l, data)
	if got := peak.Load(); got != most {
		t.Errorf("%d parts were under way at once, want %d", got, most)
	}
	if err := c.Complete(t.Context(), l, p, int64(len(data)), false); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, c, l), data) {
		t.Error("the parts are in another order")
	}
}

func TestPartsGrowSoThatTenThousandHoldFiveTebibytes(t *testing.T) {
	for _, first := range []int64{5 << 20, 8 << 20, 64 << 20, 5 << 30} {
		sum := int64(0)
		for n := int32(1); n <= 10_000; n++ {
			size := store.PartSize(n, first)
			if size < first || size > 5<<30 {
				t.Fatalf("part %d of uploads with parts of %d has %d bytes", n, first, size)
			}
			if n <= 4500 && size != first {
				t.Fatalf("part %d has %d bytes already", n, size)
			}
			sum += size
		}
		if sum < 5<<40 {
			t.Errorf("parts of %d: objects of at most %d bytes", first, sum)
		}
	}
}

func TestUploadsOfSeveralObjectsGoOnAtOnce(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		bucket := s.Bucket(t)
		data := noise(6 << 20)
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b/c", "b/d", "e"} {
			wg.Go(func() {
				l := store.Location{Bucket: bucket, Key: key}
				p := upload(t, c, l, data)
				if err := c.Complete(t.Context(), l, p, int64(len(data)), false); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		n := 0
		for o, err := range c.List(t.Context(), store.Location{Bucket: bucket}) {
			if err != nil || o.Size != int64(len(data)) {
				t.Fatalf("%+v %v", o, err)
			}
			n++
		}
		if n != 4 {
			t.Errorf("%d objects", n)
		}
	}
}

func TestANarrowClientHasItsOwnPartsAndTheSameConnections(t *testing.T) {
	s := s3test.Start(t)
	c := s.Client(t)
	narrow := c.Narrow(5<<20, 1) // closing c closes its connections, which the test's end looks at
	data := noise(11 << 20)
	l := store.Location{Bucket: s.Bucket(t), Key: "k"}
	if p := upload(t, narrow, l, data); len(p.Parts) != 3 {
		t.Errorf("%d parts of 5 MiB for 11 MiB", len(p.Parts))
	}
	if p := upload(t, c, l, data); len(p.Parts) != 2 {
		t.Errorf("%d parts of 8 MiB for 11 MiB", len(p.Parts))
	}
}
