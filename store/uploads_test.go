package store_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/rpipe-dev/rpipe/store"
)

// opened are the open uploads below l, as key and id.
func opened(t *testing.T, c *store.Client, l store.Location) (found []string) {
	t.Helper()
	for u, err := range c.Uploads(t.Context(), l) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Bucket != l.Bucket {
			t.Errorf("%+v", u)
		}
		found = append(found, u.Key+" "+u.ID)
	}
	slices.Sort(found)
	return found
}

func TestUploadsListsThoseThatAreOpenBelowAPrefix(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		bucket := s.Bucket(t)
		out := store.Location{Bucket: bucket, Key: "out/"}
		if found := opened(t, c, out); len(found) > 0 {
			t.Errorf("in an empty bucket: %q", found)
		}
		var want []string
		for _, key := range []string{"other/1", "out/1", "out/a=1/2", "out2/3"} {
			l := store.Location{Bucket: bucket, Key: key}
			p := upload(t, c, l, []byte("x"))
			if key == "out/1" || key == "out/a=1/2" {
				want = append(want, key+" "+p.ID)
			}
		}
		if found := opened(t, c, out); !slices.Equal(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
		if n := s.OpenUploads(t, bucket); n != 4 {
			t.Errorf("%d uploads are open after the listing", n)
		}
	}
}

func TestUploadsGoesThroughAllPages(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("prefix") != "out/":
			w.WriteHeader(http.StatusBadRequest)
		case q.Get("key-marker") == "":
			fmt.Fprint(w, `<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>out/a</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker><Upload><Key>out/a</Key><UploadId>1</UploadId></Upload></ListMultipartUploadsResult>`)
		case q.Get("key-marker") == "out/a" && q.Get("upload-id-marker") == "1": // and says for ever that there is more
			fmt.Fprint(w, `<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>out/b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker><Upload><Key>out/b</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>`)
		default:
			fmt.Fprint(w, `<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>out/b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker></ListMultipartUploadsResult>`)
		}
	})
	if found := opened(t, c, store.Location{Bucket: "bucket", Key: "out/"}); !slices.Equal(found, []string{"out/a 1", "out/b 2"}) {
		t.Errorf("found %q", found)
	}
}

func TestUploadsOfAServerThatListsNone(t *testing.T) {
	for status, code := range map[int]string{http.StatusNotFound: "NoSuchUpload", http.StatusNotImplemented: "NotImplemented"} {
		c := answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `<Error><Code>%s</Code><Message>no</Message></Error>`, code)
		})
		if found := opened(t, c, store.Location{Bucket: "bucket"}); len(found) > 0 {
			t.Errorf("%s: %q", code, found)
		}
	}
	c := answering(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
	var err error
	for _, err = range c.Uploads(t.Context(), store.Location{Bucket: "bucket"}) {
	}
	says(t, err, "list uploads of s3://bucket", "s3:ListBucketMultipartUploads")
}
