package store_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestAnUploadMayBeCompletedTwiceAndByAnotherProcess(t *testing.T) {
	for _, s := range servers(t) {
		for _, replace := range []bool{false, true} {
			l := store.Location{Bucket: s.Bucket(t), Key: "k"}
			data := noise(9 << 20)
			p := upload(t, s.Client(t), l, data)
			for range 3 {
				if err := s.Client(t).Complete(t.Context(), l, journalled(t, p), int64(len(data)), replace); err != nil {
					t.Fatalf("replace %v: %v", replace, err)
				}
			}
		}
	}
}

// One process took the place of another that was not dead.
func TestTwoProcessesMayCompleteOneUploadAtOnce(t *testing.T) {
	for _, s := range servers(t) {
		l := store.Location{Bucket: s.Bucket(t), Key: "k"}
		data := noise(20 << 20)
		p := upload(t, s.Client(t), l, data)
		results := make(chan error)
		const processes = 4
		for range processes {
			c, p := s.Client(t), journalled(t, p)
			go func() { results <- c.Complete(t.Context(), l, p, int64(len(data)), false) }()
		}
		for range processes {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if !bytes.Equal(get(t, s.Client(t), l), data) {
			t.Error("the object is another")
		}
	}
}

func TestCompleteReplacesOnlyWhereTold(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		l := store.Location{Bucket: s.Bucket(t), Key: "k"}
		put(t, c, l, []byte("theirs"))
		p := upload(t, c, l, []byte("ours!!")) // of the same size
		if err := c.Complete(t.Context(), l, p, 6, false); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("error %v, want a conflict", err)
		}
		if got := string(get(t, c, l)); got != "theirs" {
			t.Fatalf("the object is %q", got)
		}
		if err := c.Complete(t.Context(), l, p, 6, true); err != nil {
			t.Fatal(err)
		}
		if got := string(get(t, c, l)); got != "ours!!" {
			t.Errorf("the object is %q", got)
		}
	}
}

func TestAnUploadThatIsGoneIsNotTakenForDone(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		l := store.Location{Bucket: s.Bucket(t), Key: "k"}
		p := upload(t, c, l, []byte("ours"))
		if err := c.AbortUpload(t.Context(), l, p.ID); err != nil {
			t.Fatal(err)
		}
		for _, replace := range []bool{false, true} {
			err := c.Complete(t.Context(), l, p, 4, replace)
			if !errors.Is(err, store.ErrNotExist) || !strings.Contains(err.Error(), "the upload is gone") {
				t.Errorf("replace %v: %v", replace, err)
			}
		}
		// Another upload's object, of another size or of the same.
		for _, theirs := range []string{"longer", "same"} {
			q := upload(t, c, l, []byte(theirs))
			if err := c.Complete(t.Context(), l, q, int64(len(theirs)), true); err != nil {
				t.Fatal(err)
			}
			for _, replace := range []bool{false, true} {
				if err := c.Complete(t.Context(), l, p, 4, replace); !errors.Is(err, store.ErrConflict) {
					t.Errorf("replace %v, where %q is: %v", replace, theirs, err)
				}
			}
		}
	}
}

func TestOfUploadsToOneObjectOneWins(t *testing.T) {
	for _, s := range servers(t) {
		l := store.Location{Bucket: s.Bucket(t), Key: "k"}
		const writers = 8
		results := make(chan error, writers)
		for range writers {
			c := s.Client(t)
			p := upload(t, c, l, []byte("a part"))
			go func() { results <- c.Complete(t.Context(), l, p, 6, false) }()
		}
		won := 0
		for range writers {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrConflict):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d of %d uploads were completed", won, writers)
		}
	}
}

// The first answer to what matches is lost, after the server did it.
func losing(s *s3test.Server, t *testing.T, matches func(r *http.Request) bool) store.Config {
	lost := false
	return s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !lost && matches(r) {
			lost = true
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

func TestALostAnswerToACompleteIsNoConflict(t *testing.T) {
	for _, s := range servers(t) {
		for _, replace := range []bool{false, true} {
			c := hurried(t, losing(s, t, func(r *http.Request) bool {
				return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
			}))
			l := store.Location{Bucket: s.Bucket(t), Key: "k"}
			p := upload(t, c, l, []byte("data"))
			if err := c.Complete(t.Context(), l, p, 4, replace); err != nil {
				t.Errorf("replace %v: %v", replace, err)
			}
		}
	}
}

func TestAServerThatKeepsNoMetadataCanStillTellWhoseObjectItIs(t *testing.T) {
	s := s3test.Start(t)
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodHead {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			rec.Header().Del("X-Amz-Meta-Rpipe-Upload")
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			return
		}
		next.ServeHTTP(w, r)
	}))
	l := store.Location{Bucket: s.Bucket(t), Key: "k"}
	p, q := upload(t, c, l, []byte("ours")), upload(t, c, l, []byte("them"))
	for range 2 {
		if err := c.Complete(t.Context(), l, p, 4, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Complete(t.Context(), l, q, 4, false); !errors.Is(err, store.ErrConflict) {
		t.Errorf("an open upload, where another's object is: %v", err)
	}
}

func TestKeysThatMayNotReadCanComplete(t *testing.T) {
	s := s3test.Start(t)
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodHead || r.Method == http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	}))
	l := store.Location{Bucket: s.Bucket(t), Key: "k"}
	if err := c.Complete(t.Context(), l, upload(t, c, l, []byte("data")), 4, false); err != nil {
		t.Error(err)
	}
	if err := c.Complete(t.Context(), l, upload(t, c, l, []byte("else")), 4, false); err == nil {
		t.Error("it replaces what is there, unseen")
	}
	if got := string(get(t, s.Client(t), l)); got != "data" {
		t.Errorf("the object is %q", got)
	}
}
