package store_test

import (
	"io"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

const benched = 64 << 20

func BenchmarkUpload(b *testing.B) {
	s := s3test.Start(b)
	c := s.Client(b)
	l := store.Location{Bucket: s.Bucket(b), Key: "k"}
	data := noise(benched)
	b.SetBytes(benched)
	for b.Loop() {
		u, err := c.Upload(b.Context(), l, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := u.Write(data); err != nil {
			b.Fatal(err)
		}
		p, err := u.Close()
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Complete(b.Context(), l, p, benched, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	c, o := written(b, noise(benched))
	b.SetBytes(benched)
	for b.Loop() {
		r, err := c.Open(b.Context(), o, 0)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func BenchmarkReadAt64KiB(b *testing.B) {
	c, o := written(b, noise(benched))
	r := c.ReaderAt(b.Context(), o)
	p := make([]byte, 64<<10)
	b.SetBytes(64 << 10)
	for b.Loop() {
		if _, err := r.ReadAt(p, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutOfAJournal(b *testing.B) {
	c, o := written(b, noise(4<<10))
	data := noise(4 << 10)
	for b.Loop() {
		etag, err := c.Put(b.Context(), o.Location, data, store.Condition{IfMatch: o.ETag})
		if err != nil {
			b.Fatal(err)
		}
		o.ETag = etag
	}
}

func written(b *testing.B, data []byte) (*store.Client, store.Object) {
	s := s3test.Start(b)
	c := s.Client(b)
	l := store.Location{Bucket: s.Bucket(b), Key: "k"}
	if _, err := c.Put(b.Context(), l, data, store.Condition{}); err != nil {
		b.Fatal(err)
	}
	o, err := c.Stat(b.Context(), l)
	if err != nil {
		b.Fatal(err)
	}
	return c, o
}
