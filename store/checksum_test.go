package store_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

// sent records which requests had a checksum, and that none had a trailer.
type sent struct {
	mu            sync.Mutex
	with, without int
	trailers      int
}

func (s *sent) see(r *http.Request) (checksum bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range r.Header {
		checksum = checksum || strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Sdk-Checksum-Algorithm"
	}
	if r.Header.Get("X-Amz-Trailer") != "" || strings.Contains(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") {
		s.trailers++
	}
	switch writes := r.Method == http.MethodPut || r.Method == http.MethodPost && !r.URL.Query().Has("uploadId"); {
	case writes && checksum:
		s.with++
	case writes:
		s.without++
	}
	return checksum
}

// everything uses each kind of request that can have a checksum.
func everything(t *testing.T, c *store.Client, bucket string) error {
	t.Helper()
	a, b := store.Location{Bucket: bucket, Key: "a"}, store.Location{Bucket: bucket, Key: "b"}
	data := noise(9 << 20)
	u, err := c.Upload(t.Context(), a, nil)
	if err != nil {
		return err
	}
	defer u.Abort(t.Context())
	if _, err := u.Write(data); err != nil {
		return err
	}
	p, err := u.Close()
	if err != nil {
		return err
	}
	if err := c.Complete(t.Context(), a, p, int64(len(data)), false); err != nil {
		return err
	}
	if _, err := c.Put(t.Context(), b, data[:100], store.Condition{}); err != nil {
		return err
	}
	if !bytes.Equal(get(t, c, a), data) || !bytes.Equal(get(t, c, b), data[:100]) {
		t.Error("the objects hold something else")
	}
	return c.Delete(t.Context(), a, b)
}

func TestChecksumsGoAsHeadersAndOnlyWhereTold(t *testing.T) {
	for _, s := range servers(t) {
		f := func(mode string, with, without bool) {
			t.Helper()
			var seen sent
			config := s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				seen.see(r)
				next.ServeHTTP(w, r)
			})
			config.Checksum = mode
			c := hurried(t, config)
			if err := everything(t, c, s.Bucket(t)); err != nil {
				t.Errorf("%s: %v", mode, err)
			}
			if seen.with > 0 != with || seen.without > 0 != without || seen.trailers > 0 {
				t.Errorf("%s: %d writes with a checksum, %d without, %d trailers", mode, seen.with, seen.without, seen.trailers)
			}
			if c.Checksums() != with {
				t.Errorf("%s: Checksums says %v", mode, c.Checksums())
			}
		}
		f("auto", true, false)
		f("crc32", true, false)
		f("none", false, true)
	}
}

func TestAutoDoesWithoutChecksumsWhereTheServerRefusesThem(t *testing.T) {
	s := s3test.Start(t)
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"a header": {501, `<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>`},
		"by name":  {400, `<Error><Code>InvalidArgument</Code><Message>Unsupported header 'x-amz-checksum-crc32' received for this API call.</Message></Error>`},
	} {
		t.Run(name, func(t *testing.T) {
			var refused int
			config := s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				var seen sent
				if seen.see(r) {
					refused++
					w.WriteHeader(answer.status)
					io.WriteString(w, answer.body)
					return
				}
				next.ServeHTTP(w, r)
			})
			c := hurried(t, config)
			if err := everything(t, c, s.Bucket(t)); err != nil {
				t.Error(err)
			}
			if c.Checksums() {
				t.Error("it goes on trying")
			}
			if refused == 0 || refused > 5 {
				t.Errorf("%d requests were refused, want those of one operation", refused)
			}
			config.Checksum = "crc32"
			err := everything(t, hurried(t, config), s.Bucket(t))
			if err == nil || answer.status == 400 && !strings.Contains(err.Error(), "checksum: none") {
				t.Errorf("with crc32: %v", err)
			}
		})
	}
}

// flip changes a byte of a body on its way.
type flip struct {
	io.ReadCloser
	done bool
}

func (f *flip) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 && !f.done {
		f.done = true
		p[0] ^= 1
	}
	return n, err
}

type flipped struct {
	http.ResponseWriter
	done bool
}

func (f *flipped) Write(p []byte) (int, error) {
	if len(p) > 0 && !f.done {
		f.done = true
		p = append([]byte{p[0] ^ 1}, p[1:]...)
	}
	return f.ResponseWriter.Write(p)
}

func TestDataThatIsDamagedOnItsWayIsNoticed(t *testing.T) {
	s := s3test.Start(t)
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch r.Method {
		case http.MethodPut:
			r.Body = &flip{ReadCloser: r.Body}
		case http.MethodGet:
			w = &flipped{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	}))
	bucket := s.Bucket(t)
	l := store.Location{Bucket: bucket, Key: "k"}
	if _, err := c.Put(t.Context(), l, noise(1000), store.Condition{}); err == nil {
		t.Error("a damaged put is taken")
	}
	u, err := c.Upload(t.Context(), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Abort(t.Context())
	send(t, u, noise(1000))
	if _, err := u.Close(); err == nil {
		t.Error("a damaged part is taken")
	}
	put(t, s.Client(t), l, noise(1000))
	if _, _, err := c.Get(t.Context(), l, 1000); err == nil {
		t.Error("a damaged object is taken")
	}
}
