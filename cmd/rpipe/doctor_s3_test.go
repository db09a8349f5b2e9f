package main

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestDoctorFindsOutWhatAServerCanDo(t *testing.T) {
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	f := func(address string, config store.Config, want ...finding) {
		t.Helper()
		got := examineS3(t.Context(), address, config)
		if len(got) != len(want) {
			t.Fatalf("%d findings, want %d: %+v", len(got), len(want), got)
		}
		for i, w := range want {
			found := regexp.MustCompile(w.Found).MatchString(got[i].Found)
			mend := regexp.MustCompile(w.Mend).MatchString(got[i].Mend)
			if g := got[i]; g.What != w.What || g.Status != w.Status || !found || !mend {
				t.Errorf("%+v, want %+v", g, w)
			}
		}
	}
	// refusing answers what a handler picks in place of the server.
	refusing := func(picks func(r *http.Request) (status int, body string)) store.Config {
		return s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if status, body := picks(r); status > 0 {
				w.WriteHeader(status)
				w.Write([]byte(body))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	place := "s3://" + bucket + "/out"
	reads := finding{What: "S3 reads", Found: "s3://" + bucket + "/out can be listed, and is empty", Status: "ok"}
	writes := finding{What: "S3 writes", Found: "below " + place + " can be written and deleted", Status: "ok"}
	holds := finding{What: "S3 conditions", Found: "^held where objects are put and uploads completed$", Status: "ok"}

	f(place, s.Config(), reads, writes, holds)
	f("s3://no-such-bucket", s.Config(), finding{What: "S3 reads", Found: "there is no bucket no-such-bucket$", Status: "bad", Mend: "make it"})
	f("bucket/out", s.Config(), finding{What: "S3", Found: "is not an S3 address", Status: "bad", Mend: "s3://bucket"})

	readOnly := refusing(func(r *http.Request) (int, string) {
		if r.Method == http.MethodPut {
			return http.StatusForbidden, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
		}
		return 0, ""
	})
	f(place, readOnly, reads, finding{What: "S3 writes", Found: "access denied", Status: "bad", Mend: "allow s3:PutObject"})

	old := refusing(func(r *http.Request) (int, string) {
		switch {
		case r.Header.Get("X-Amz-Checksum-Crc32") != "":
			return http.StatusNotImplemented, "<Error><Code>NotImplemented</Code><Message>x-amz-checksum-crc32</Message></Error>"
		case r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Match") != "":
			return http.StatusNotImplemented, "<Error><Code>NotImplemented</Code><Message>If-None-Match</Message></Error>"
		}
		return 0, ""
	})
	f(place, old, reads, writes,
		finding{What: "S3 checksums", Found: "refused", Status: "note", Mend: "checksum: none"},
		finding{What: "S3 conditions", Found: "^passed over", Status: "note", Mend: "conditional writes"})
}
