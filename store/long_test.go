//go:build long

package store_test

import (
	"bytes"
	"io"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

// servers are those that the tests of the protocol run against: two that have
// no line of code in common.
func servers(t testing.TB) []*s3test.Server {
	return []*s3test.Server{s3test.Start(t), s3test.StartRclone(t)}
}

// An upload holds the parts under way and the one being filled, whatever the
// size of the object; reading holds next to nothing.
func TestMemoryDoesNotGrowWithTheObject(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	s := s3test.Start(t)
	c := s.Client(t)
	l := store.Location{Bucket: s.Bucket(t), Key: "large"}
	const size = 300 << 20
	const part, concurrency = 8 << 20, 3
	some := noise(1 << 20)
	before, peak := heap(), uint64(0)

	u, err := c.Upload(t.Context(), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range size / len(some) {
		if _, err := u.Write(some); err != nil {
			t.Fatal(err)
		}
		if i%4 == 0 {
			peak = max(peak, heap())
		}
	}
	p, err := u.Close()
	if err != nil {
		t.Fatal(err)
	}
	if grown := peak - before; grown > (concurrency+1)*part+(8<<20) {
		t.Errorf("an upload of %d MiB held %d MiB", size>>20, grown>>20)
	} else {
		t.Logf("an upload of %d MiB held %d MiB", size>>20, grown>>20)
	}
	if err := c.Complete(t.Context(), l, p, size, false); err != nil {
		t.Fatal(err)
	}

	o, err := c.Stat(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Open(t.Context(), o, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, len(some))
	runtime.GC()
	peak = 0
	for i := range size / len(some) {
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, some) {
			t.Fatalf("MiB %d: %v", i, err)
		}
		peak = max(peak, heap())
	}
	if peak > before+(8<<20) {
		t.Errorf("reading held %d MiB", (peak-before)>>20)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
