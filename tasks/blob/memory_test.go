package blob

import (
	"io"
	"os"
	"runtime"
	"testing"
)

// TestMemoryIsBounded: a blob of largeBlob bytes goes in and comes out again.
func TestMemoryIsBounded(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ref, size, err := s.Put(t.Context(), big(largeBlob))
		if err != nil || size != largeBlob {
			t.Fatal(size, err)
		}
		r, _, err := s.objects.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if n, err := io.Copy(io.Discard, verify(r, ref)); n != largeBlob || err != nil {
			t.Errorf("read %d bytes, %v", n, err)
		}
		path, release, err := s.File(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if info, err := os.Stat(path); err != nil || info.Size() != largeBlob {
			t.Errorf("a file of %v, %v", info, err)
		}
		runtime.ReadMemStats(&after)
		// of S3: parts of 8 MiB, four at a time, taken anew for each blob
		if grown := int64(after.Sys) - int64(before.Sys); grown > 80<<20 {
			t.Errorf("%d MiB of memory were taken from the system", grown>>20)
		}
	})
}
