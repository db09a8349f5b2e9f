package store_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rpipe-dev/rpipe/store"
)

// answering is a client of a server that answers every request by f.
func answering(t *testing.T, f http.HandlerFunc) *store.Client {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return hurried(t, store.Config{Endpoint: server.URL, Region: "here", AccessKeyID: "a", SecretAccessKey: "b", MaxAttempts: 2})
}

// A server that speaks an older protocol cuts lists and does not say how to go on:
// what it gives must not count as all there is.
func TestListThatCannotGoOnIsAnError(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>a</NextMarker><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>`)
	})
	var err error
	for _, err = range c.List(t.Context(), store.Location{Bucket: "bucket"}) {
	}
	if err == nil || !strings.Contains(err.Error(), "ListObjectsV2") {
		t.Errorf("error %v", err)
	}
}

func TestRedirectsInACircleEnd(t *testing.T) {
	var n atomic.Int32
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 100 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Location", r.URL.String())
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	if _, err := c.Stat(t.Context(), store.Location{Bucket: "bucket", Key: "key"}); err == nil || n.Load() > 100 {
		t.Errorf("%d requests, %v", n.Load(), err)
	}
}
