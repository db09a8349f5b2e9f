package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/store"
)

// oddKeys are what users and partition values make, in the order of their bytes.
var oddKeys = []string{
	"a b/c+d&e=f?g#h.csv",
	"carrier=AA%20/month=%31/x",
	"out/day=2026-01-01T00:00:00/part 1.parquet",
	"out/tilde~'quote'\"$!*(),;@[]{}|^`<>.csv",
	"x/..y/.z",
	"ü/日本語/e\u0301.csv",
}

func TestKeysMayHoldWhateverUsersPutThere(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		bucket := s.Bucket(t)
		for _, key := range oddKeys {
			l := store.Location{Bucket: bucket, Key: key}
			put(t, c, l, []byte(key))
			if parsed, err := store.Parse(l.String()); err != nil || parsed != l {
				t.Errorf("%s is parsed as %+v, %v", l, parsed, err)
			}
			if got := get(t, c, l); string(got) != key {
				t.Errorf("%s holds %q", l, got)
			}
			up := store.Location{Bucket: bucket, Key: "uploaded/" + key}
			if err := c.Complete(t.Context(), up, upload(t, c, up, []byte(key)), int64(len(key)), false); err != nil {
				t.Error(err)
			}
		}
		if got := keys(t, c, store.Location{Bucket: bucket, Key: "uploaded/"}); !slices.Equal(got, prefixed("uploaded/", oddKeys)) {
			t.Errorf("listed %q", got)
		}
		var all []store.Location
		for o, err := range c.List(t.Context(), store.Location{Bucket: bucket}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, o.Location)
		}
		if len(all) != 2*len(oddKeys) {
			t.Errorf("%d objects, want %d", len(all), 2*len(oddKeys))
		}
		if err := c.Delete(t.Context(), all...); err != nil {
			t.Error(err)
		}
		if left := keys(t, c, store.Location{Bucket: bucket}); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

func keys(t *testing.T, c *store.Client, l store.Location) (found []string) {
	t.Helper()
	for o, err := range c.List(t.Context(), l) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, o.Key)
	}
	return found
}

func prefixed(prefix string, all []string) (with []string) {
	for _, s := range all {
		with = append(with, prefix+s)
	}
	return with
}

func TestListAndDeleteGoBeyondAThousandObjects(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		bucket := s.Bucket(t)
		const n = 2105
		var want []string
		var all []store.Location
		for i := range n {
			l := store.Location{Bucket: bucket, Key: fmt.Sprintf("many/%05d", i)}
			want, all = append(want, l.Key), append(all, l)
		}
		var wg sync.WaitGroup
		for some := range slices.Chunk(all, n/8+1) {
			wg.Go(func() {
				for _, l := range some {
					if _, err := c.Put(t.Context(), l, []byte("x"), store.Condition{}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		prefix := store.Location{Bucket: bucket, Key: "many/"}
		if got := keys(t, c, prefix); !slices.Equal(got, want) {
			t.Errorf("listed %d keys in order or not, want %d", len(got), n)
		}
		seen := 0
		for range c.List(t.Context(), prefix) { // whoever has enough stops
			if seen++; seen == 3 {
				break
			}
		}
		if got := keys(t, c, store.Location{Bucket: bucket, Key: "many/0001"}); len(got) != 10 {
			t.Errorf("a prefix within a name finds %d, want 10", len(got))
		}
		if err := c.Delete(t.Context(), all...); err != nil {
			t.Fatal(err)
		}
		if left := keys(t, c, prefix); len(left) > 0 {
			t.Errorf("%d are left", len(left))
		}
	}
}

func TestDeleteTakesWhatIsNotThereAsDone(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		bucket := s.Bucket(t)
		l := store.Location{Bucket: bucket, Key: "k"}
		put(t, c, l, []byte("x"))
		for range 2 {
			if err := c.Delete(t.Context(), l); err != nil {
				t.Error(err)
			}
			if err := c.Delete(t.Context(), l, store.Location{Bucket: bucket, Key: "never"}); err != nil {
				t.Error(err)
			}
		}
		if err := c.Delete(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Delete(t.Context(), store.Location{Bucket: "no-such-bucket", Key: "k"}); !errors.Is(err, store.ErrNotExist) {
			t.Errorf("in a bucket that is not there: %v", err)
		}
	}
}
