package store_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestOpenStreamsFromAnyOffset(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		data := noise(300_000)
		o := put(t, c, store.Location{Bucket: s.Bucket(t), Key: "k"}, data)
		for _, offset := range []int64{0, 1, 65_536, 299_999, 300_000} {
			r, err := c.Open(t.Context(), o, offset)
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(r, data[offset:]); err != nil {
				t.Errorf("from %d: %v", offset, err)
			}
			r.Close()
		}
		if _, err := c.Open(t.Context(), o, 300_001); err == nil {
			t.Error("an offset beyond the end is taken")
		}
		r, err := c.Open(t.Context(), store.Object{Location: o.Location}, 100) // as it is found
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data[100:]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

func TestReaderAtReadsRanges(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		data := noise(100_000)
		r := c.ReaderAt(t.Context(), put(t, c, store.Location{Bucket: s.Bucket(t), Key: "k"}, data))
		f := func(offset int64, n, want int, wantErr error) {
			t.Helper()
			p := make([]byte, n)
			got, err := r.ReadAt(p, offset)
			if got != want || err != wantErr || !bytes.Equal(p[:got], data[min(offset, 100_000):][:got]) {
				t.Errorf("%d bytes at %d: %d, %v", n, offset, got, err)
			}
		}
		f(0, 4, 4, nil)
		f(99_996, 4, 4, nil)
		f(99_996, 5, 4, io.EOF)
		f(100_000, 1, 0, io.EOF)
		f(100_000, 0, 0, nil)
		f(0, 100_000, 100_000, nil)
		if _, err := io.ReadAll(io.NewSectionReader(r, 0, 100_000)); err != nil {
			t.Error(err)
		}
		if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("a negative offset is taken")
		}
	}
}

// cutting ends each answer to a GET after so many bytes.
func cutting(s *s3test.Server, t *testing.T, after int, requests *atomic.Int32) store.Config {
	return s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet {
			requests.Add(1)
			w = &scissors{ResponseWriter: w, left: after}
		}
		next.ServeHTTP(w, r)
	})
}

type scissors struct {
	http.ResponseWriter
	left int
}

func (s *scissors) Write(p []byte) (int, error) {
	if len(p) > s.left {
		s.ResponseWriter.Write(p[:s.left])
		s.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	s.left -= len(p)
	return s.ResponseWriter.Write(p)
}

func TestAReadGoesOnWhereTheConnectionBroke(t *testing.T) {
	for _, s := range servers(t) {
		data := noise(1 << 20)
		o := put(t, s.Client(t), store.Location{Bucket: s.Bucket(t), Key: "k"}, data)
		var requests atomic.Int32
		c := hurried(t, cutting(s, t, 100_000, &requests))
		r, err := c.Open(t.Context(), o, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
		}
		if n := requests.Load(); n != 11 {
			t.Errorf("%d requests for a MiB in pieces of 100,000", n)
		}
		p := make([]byte, 250_000)
		if n, err := c.ReaderAt(t.Context(), o).ReadAt(p, 123_456); err != nil || !bytes.Equal(p, data[123_456:][:n]) {
			t.Errorf("%d bytes by ReaderAt, %v", n, err)
		}
		if got := get(t, c, o.Location); !bytes.Equal(got, data) {
			t.Errorf("%d bytes by Get", len(got))
		}
	}
}

func TestAReadWithoutProgressGivesUp(t *testing.T) {
	s := s3test.Start(t)
	o := put(t, s.Client(t), store.Location{Bucket: s.Bucket(t), Key: "k"}, noise(1000))
	var requests atomic.Int32
	config := cutting(s, t, 0, &requests)
	config.MaxAttempts = 3
	r, err := hurried(t, config).Open(t.Context(), o, 0)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if err == nil {
		t.Fatal("it read what never came")
	}
	t.Log(err)
	if n := requests.Load(); n < 3 || n > 9 {
		t.Errorf("%d requests", n)
	}
}

func TestAnObjectThatIsReplacedIsNotReadOn(t *testing.T) {
	for _, s := range servers(t) {
		l := store.Location{Bucket: s.Bucket(t), Key: "k"}
		o := put(t, s.Client(t), l, noise(1<<20))
		var requests atomic.Int32
		c := hurried(t, cutting(s, t, 100_000, &requests))
		r, err := c.Open(t.Context(), o, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		put(t, s.Client(t), l, bytes.Repeat([]byte("other"), 1<<18))
		if _, err := io.ReadAll(r); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a stream: %v", err)
		}
		if _, err := c.ReaderAt(t.Context(), o).ReadAt(make([]byte, 10), 5); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a range: %v", err)
		}
	}
}

func TestASilentConnectionIsGivenUp(t *testing.T) {
	s := s3test.Start(t)
	data := noise(500_000)
	o := put(t, s.Client(t), store.Location{Bucket: s.Bucket(t), Key: "k"}, data)
	var requests atomic.Int32
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if requests.Add(1) == 1 { // half of it, and then nothing
			w.Header().Set("Content-Length", "500000")
			w.Header().Set("ETag", o.ETag)
			w.Write(data[:250_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	}))
	c.Silence(500 * time.Millisecond)
	r, err := c.Open(t.Context(), o, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
}

func TestGetRefusesWhatIsTooLarge(t *testing.T) {
	s := s3test.Start(t)
	c := s.Client(t)
	l := store.Location{Bucket: s.Bucket(t), Key: "k"}
	put(t, c, l, noise(100))
	if _, _, err := c.Get(t.Context(), l, 99); err == nil {
		t.Error("100 bytes were read where 99 are allowed")
	}
	if data, o, err := c.Get(t.Context(), l, 100); err != nil || len(data) != 100 || o.Size != 100 {
		t.Errorf("%d bytes, %+v, %v", len(data), o, err)
	}
}
