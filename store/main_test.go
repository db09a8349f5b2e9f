package store_test

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noise is bytes without a pattern: data put together in the wrong order shows.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// hurried is a client that does not pause between attempts.
func hurried(t *testing.T, config store.Config) *store.Client {
	c := store.New(config).Hurry()
	t.Cleanup(c.Close)
	return c
}

func put(t *testing.T, c *store.Client, l store.Location, data []byte) store.Object {
	t.Helper()
	if _, err := c.Put(t.Context(), l, data, store.Condition{}); err != nil {
		t.Fatal(err)
	}
	o, err := c.Stat(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func get(t *testing.T, c *store.Client, l store.Location) []byte {
	t.Helper()
	data, _, err := c.Get(t.Context(), l, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// upload sends data in writes of an odd size.
func upload(t *testing.T, c *store.Client, l store.Location, data []byte) *store.Pending {
	t.Helper()
	u, err := c.Upload(t.Context(), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, u, data)
	p, err := u.Close()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func send(t *testing.T, w io.Writer, data []byte) {
	t.Helper()
	for len(data) > 0 {
		n, err := w.Write(data[:min(len(data), 1_000_003)])
		if err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
}

// journalled is what another process knows of an upload.
func journalled(t *testing.T, p *store.Pending) *store.Pending {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var read store.Pending
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return &read
}
