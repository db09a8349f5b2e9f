package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

// noise is bytes without a pattern: data put together in the wrong order shows.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

func upload(t *testing.T, c *store.Client, l store.Location, data []byte) *store.Pending {
	t.Helper()
	u, err := c.Upload(t.Context(), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	for some := data; len(some) > 0; {
		n := min(len(some), 1_000_003)
		if _, err := u.Write(some[:n]); err != nil {
			t.Fatal(err)
		}
		some = some[n:]
	}
	p, err := u.Close()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnUploadIsInvisibleUntilItIsCompleted(t *testing.T) {
	s := s3test.Start(t)
	c := s.Client(t)
	f := func(size int) {
		t.Helper()
		l := store.Location{Bucket: s.Bucket(t), Key: "out/part 1+ü%.parquet"}
		data := noise(size)
		p := upload(t, c, l, data)
		if _, err := c.Stat(t.Context(), l); !errors.Is(err, store.ErrNotExist) {
			t.Fatalf("it is there before Complete: %v", err)
		}
		if err := c.Complete(t.Context(), l, p, int64(size), false); err != nil {
			t.Fatal(err)
		}
		o, err := c.Stat(t.Context(), l)
		if err != nil || o.Size != int64(size) {
			t.Fatalf("%+v %v", o, err)
		}
		r, err := c.Open(context.Background(), o, 0)
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
