package store_test

import (
	"bytes"
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
			o := put(t, c, l, []byte(key))
			if parsed, err := store.Parse(l.String()); err != nil || parsed != l {
				t.Errorf("%s is parsed as %+v, %v", l, parsed, err)
			}
			if got := get(t, c, l); string(got) != key {
				t.Errorf("%s holds %q", l, got)
			}
			to := store.Location{Bucket: bucket, Key: "copied/" + key}
			if err := c.Copy(t.Context(), o, to, store.Condition{}); err != nil {
				t.Error(err)
			} else if got := get(t, c, to); string(got) != key {
				t.Errorf("%s holds %q", to, got)
			}
			up := store.Location{Bucket: bucket, Key: "uploaded/" + key}
			if err := c.Complete(t.Context(), up, upload(t, c, up, []byte(key)), int64(len(key)), false); err != nil {
				t.Error(err)
			}
		}
		if got := keys(t, c, store.Location{Bucket: bucket, Key: "copied/"}); !slices.Equal(got, prefixed("copied/", oddKeys)) {
			t.Errorf("listed %q", got)
		}
		var all []store.Location
		for o, err := range c.List(t.Context(), store.Location{Bucket: bucket}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, o.Location)
		}
		if len(all) != 3*len(oddKeys) {
			t.Errorf("%d objects, want %d", len(all), 3*len(oddKeys))
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

func TestCopyIsWholeAndHoldsItsConditions(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		c.CopyBy(12<<20, 5<<20) // what is larger goes in parts
		bucket := s.Bucket(t)
		for _, size := range []int{0, 1000, 12<<20 + 7} {
			from := store.Location{Bucket: bucket, Key: fmt.Sprint("from", size)}
			data := noise(size)
			if err := c.Complete(t.Context(), from, upload(t, c, from, data), int64(size), false); err != nil {
				t.Fatal(err)
			}
			o, err := c.Stat(t.Context(), from)
			if err != nil {
				t.Fatal(err)
			}
			to := store.Location{Bucket: s.Bucket(t), Key: "to"}
			if err := c.Copy(t.Context(), o, to, store.Condition{IfNoneMatch: true}); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if !bytes.Equal(get(t, c, to), data) {
				t.Errorf("%d bytes are others in the copy", size)
			}
			changed := o
			changed.ETag = `"0123456789abcdef0123456789abcdef"`
			if err := c.Copy(t.Context(), changed, to, store.Condition{}); !errors.Is(err, store.ErrConflict) {
				t.Errorf("%d bytes, a source that changed: %v", size, err)
			}
			if n := s.OpenUploads(t, to.Bucket); n != 0 {
				t.Errorf("%d uploads stay open", n)
			}
		}
		missing := store.Object{Location: store.Location{Bucket: bucket, Key: "never"}, Size: 1}
		if err := c.Copy(t.Context(), missing, store.Location{Bucket: bucket, Key: "to"}, store.Condition{}); !errors.Is(err, store.ErrNotExist) {
			t.Errorf("a source that is not there: %v", err)
		}
	}
}

func TestACopyInPartsReplacesNothingWhereItMustNot(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		c.CopyBy(0, 5<<20)
		bucket := s.Bucket(t)
		o := put(t, c, store.Location{Bucket: bucket, Key: "from"}, []byte("ours"))
		to := put(t, c, store.Location{Bucket: bucket, Key: "to"}, []byte("them"))
		if err := c.Copy(t.Context(), o, to.Location, store.Condition{IfNoneMatch: true}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("if none match: %v", err)
		}
		if got := get(t, c, to.Location); string(got) != "them" {
			t.Errorf("it holds %q", got)
		}
		if err := c.Copy(t.Context(), o, to.Location, store.Condition{}); err != nil {
			t.Error(err)
		}
		if got := get(t, c, to.Location); string(got) != "ours" {
			t.Errorf("it holds %q", got)
		}
	}
}
