package sources

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// far is a file of which every read is a request.
type far struct {
	localFile
	wait time.Duration // for each

	mu       sync.Mutex
	requests []int // their sizes
}

func (f *far) ReadAt(p []byte, offset int64) (int, error) {
	f.mu.Lock()
	f.requests = append(f.requests, len(p))
	f.mu.Unlock()
	if f.wait > 0 {
		<-time.After(f.wait)
	}
	o, err := os.Open(f.path)
	if err != nil {
		return 0, err
	}
	defer o.Close()
	return o.ReadAt(p, offset)
}

func (f *far) random(ctx context.Context) (randomReader, int64, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, 0, err
	}
	return &objectReader{at: f, size: info.Size()}, info.Size(), nil
}

// readFar reads a file as if each of its bytes were a request away.
func readFar(t *testing.T, path string, columns []string, from string) (reads []*Read, f *far) {
	t.Helper()
	f = &far{localFile: localFile{path: path, name: "far.parquet"}}
	in := &found{files: []file{{opener: f, name: f.name}}}
	var err error
	if in.at, err = parsePosition(from, in.files); err != nil {
		t.Fatal(err)
	}
	r, err := openFound(t.Context(), &stages.Env{Parallel: 2}, in, columns)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		read, err := r.Next(t.Context())
		if err == io.EOF {
			return reads, f
		}
		if err != nil {
			t.Fatal(err)
		}
		reads = append(reads, read)
	}
}

// What is small comes in one request, what is large in blocks; either way the
// rows are those of the file itself.
func TestParquetInFewRequests(t *testing.T) {
	dir := t.TempDir()
	f := func(name string, columns []string, most, largest int) {
		t.Helper()
		env := &stages.Env{Dir: dir, Parallel: 2}
		local, err := (&Parquet{Path: Paths{name}, Columns: columns}).Open(t.Context(), env, "")
		if err != nil {
			t.Fatal(err)
		}
		defer local.Close()
		want := readAll(t, local)
		got, file := readFar(t, filepath.Join(dir, name), columns, "")
		if len(got) != len(want) {
			t.Fatalf("%d reads, want %d", len(got), len(want))
		}
		for i := range got {
			if d := frame.Diff(got[i].Frame, want[i].Frame); d != "" {
				t.Fatalf("read %d: %s", i, d)
			}
		}
		// The footer is read twice: for the columns, and to read on.
		sizes := file.requests
		if len(sizes) > most || slices.Max(sizes) > largest {
			t.Errorf("%s: %d requests, the largest of %d bytes; want %d of up to %d", name, len(sizes), slices.Max(sizes), most, largest)
		}
		for i := 0; i < len(want); i += 7 {
			rest, _ := readFar(t, filepath.Join(dir, name), columns, strings.ReplaceAll(want[i].Pos, name, "far.parquet"))
			if len(rest) != len(want)-i-1 {
				t.Fatalf("after %s: %d reads, want %d", want[i].Pos, len(rest), len(want)-i-1)
			}
		}
	}
	writeParquet(t, filepath.Join(dir, "tiny.parquet"), manyRows(10))
	f("tiny.parquet", nil, 2, tailBytes)

	rows := manyRows(subjectRows)
	writeParquet(t, filepath.Join(dir, "groups.parquet"), rows) // in 4 row groups
	f("groups.parquet", nil, 2+4, maxBlock)
	f("groups.parquet", []string{"id", "count"}, 2+2*4, maxBlock)

	// 40 MB in one row group: text in blocks, the numbers beside it.
	type row struct {
		ID   int64  `parquet:"id"`
		Text string `parquet:"text"`
		More string `parquet:"more"`
	}
	random := rand.NewChaCha8([32]byte{})
	big := make([]row, 40_000)
	for i := range big {
		b := make([]byte, 500)
		for k := range b {
			b[k] = 'a' + byte(random.Uint64()%26)
		}
		big[i] = row{int64(i), string(b), string(b)}
	}
	o, err := os.Create(filepath.Join(dir, "big.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[row](o)
	if _, err := w.Write(big); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), o.Close()); err != nil {
		t.Fatal(err)
	}
	f("big.parquet", nil, 2+12, maxBlock)
	f("big.parquet", []string{"more"}, 2+6, maxBlock)
}
