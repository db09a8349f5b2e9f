package store_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestProbeTellsWhatTheServerHonours(t *testing.T) {
	s := s3test.Start(t)
	f := func(name string, want store.Conditions, change func(w http.ResponseWriter, r *http.Request) (handled bool)) {
		t.Helper()
		c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if !change(w, r) {
				next.ServeHTTP(w, r)
			}
		}))
		bucket := s.Bucket(t)
		got, err := c.Probe(t.Context(), store.Location{Bucket: bucket, Key: "out"})
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if !c.Checksums() {
			t.Errorf("%s: a condition that was refused is taken for a checksum", name)
		}
		if left := keys(t, c, store.Location{Bucket: bucket}); len(left) > 0 {
			t.Errorf("%s: the probe leaves %q", name, left)
		}
		if n := s.OpenUploads(t, bucket); n > 0 {
			t.Errorf("%s: the probe leaves %d uploads", name, n)
		}
	}
	notThat := "<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>"
	conditional := func(r *http.Request) bool {
		return r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Match") != ""
	}
	f("all", store.Conditions{Put: true, Complete: true}, func(http.ResponseWriter, *http.Request) bool { return false })
	f("none is known", store.Conditions{}, func(w http.ResponseWriter, r *http.Request) bool {
		if conditional(r) {
			w.WriteHeader(http.StatusNotImplemented)
			w.Write([]byte(notThat))
		}
		return conditional(r)
	})
	f("those of a put alone", store.Conditions{Put: true}, func(w http.ResponseWriter, r *http.Request) bool {
		if refuse := conditional(r) && r.Method == http.MethodPost; refuse {
			w.WriteHeader(http.StatusNotImplemented)
			return true
		}
		return false
	})
}

func TestProbeSaysWhyItCannotWrite(t *testing.T) {
	s := s3test.Start(t)
	if _, err := s.Client(t).Probe(t.Context(), store.Location{Bucket: "no-such-bucket"}); !errors.Is(err, store.ErrNotExist) {
		t.Error(err)
	}
	c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte(`<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`))
			return
		}
		next.ServeHTTP(w, r)
	}))
	_, err := c.Probe(t.Context(), store.Location{Bucket: s.Bucket(t)})
	if err == nil || !strings.Contains(err.Error(), "allow s3:PutObject") {
		t.Error(err)
	}
}
