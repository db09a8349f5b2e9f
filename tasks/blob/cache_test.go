package blob

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t *testing.T, s *Store, content string) (ref string) {
	t.Helper()
	ref, err := s.PutBytes(t.Context(), []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestChangedContentIsNotServed(t *testing.T) {
	dir, cached := t.TempDir(), t.TempDir()
	s := open(t, Options{Dir: dir, Cache: cached})
	ref := put(t, s, "the truth")

	// in the cache, found by another process
	path, release, err := s.File(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	release()
	spoil := func(path string) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("not truth"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoil(path)
	other := open(t, Options{Dir: dir, Cache: cached})
	path, release, err = other.File(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); string(b) != "the truth" {
		t.Errorf("File gives %q, %v", b, err)
	}
	release()

	// at its place
	spoil(filepath.Join(dir, ref[:2], ref))
	fresh := open(t, Options{Dir: dir})
	if _, err := fresh.Bytes(t.Context(), ref, 100); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Bytes: %v", err)
	}
	if _, _, err := fresh.File(t.Context(), ref); !errors.Is(err, ErrCorrupt) {
		t.Errorf("File: %v", err)
	}
	r, _, err := fresh.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open: %q, %v", b, err)
	}
}

func TestOldBlobsAreRenewed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	ref := put(t, s, "x")
	f := func(what string, do func() error, age time.Duration, renewed bool) {
		t.Helper()
		then := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(dir, ref[:2], ref), then, then); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil {
			t.Fatal(err)
		}
		_, modified, err := s.Stat(t.Context(), ref)
		if err != nil || modified.After(then.Add(time.Second)) != renewed {
			t.Errorf("%s after %v: of %v, %v", what, age, modified, err)
		}
	}
	again := func() error { put(t, s, "x"); return nil }
	renew := func() error { return s.Renew(t.Context(), ref) }
	f("put", again, Fresh/2, false)
	f("put", again, Fresh*2, true)
	f("renewed", renew, Fresh/2, true)
	s.objects = struct{ place }{s.objects} // one that cannot touch
	f("put", again, Fresh*2, true)
	f("renewed", renew, Fresh/2, true)
	if err := s.Renew(t.Context(), reference([]byte("never put"))); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// counting counts what is opened, and waits before it answers.
type counting struct {
	place
	opened atomic.Int64
	wait   chan struct{}
}

func (c *counting) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	c.opened.Add(1)
	select {
	case <-c.wait:
		return c.place.Open(ctx, name)
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

func TestAFileIsFetchedOnceForAllWhoAsk(t *testing.T) {
	dir, cached := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{Dir: dir, Cache: cached})
		slow := &counting{place: s.objects, wait: make(chan struct{})}
		s.objects = slow
		ref := put(t, s, "x")

		// one who goes leaves it to the others
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, _, err := s.File(ctx, ref); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who goes: %v", err)
			}
		})
		for range 20 {
			group.Go(func() {
				path, release, err := s.File(t.Context(), ref)
				if err != nil {
					t.Error(err)
					return
				}
				defer release()
				if b, err := os.ReadFile(path); string(b) != "x" {
					t.Errorf("%q, %v", b, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(slow.wait)
		group.Wait()
		if n := slow.opened.Load(); n != 1 {
			t.Errorf("opened %d times", n)
		}
	})
}

func TestAFetchThatNobodyWaitsForEnds(t *testing.T) {
	dir, cached := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{Dir: dir, Cache: cached})
		slow := &counting{place: s.objects, wait: make(chan struct{})}
		s.objects = slow
		ref := put(t, s, "x")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := s.File(ctx, ref); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		synctest.Wait() // Close would wait for it
		close(slow.wait)
		if _, release, err := s.File(t.Context(), ref); err != nil {
			t.Errorf("the next one who asks: %v", err)
		} else {
			release()
		}
	})
}

func TestFilesUsedLongestAgoMakeRoom(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Cache: filepath.Join(t.TempDir(), "cache"), MaxCache: 10_000})
	content := func(i int) string { return fmt.Sprintf("%1000d", i) }
	use := func(i int) (release func()) {
		t.Helper()
		_, release, err := s.File(t.Context(), put(t, s, content(i)))
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	age := func(i int, age time.Duration) {
		then := time.Now().Add(-age)
		if err := os.Chtimes(s.cache.path(reference([]byte(content(i)))), then, then); err != nil {
			t.Fatal(err)
		}
	}
	there := func(i int) bool {
		_, err := os.Stat(s.cache.path(reference([]byte(content(i)))))
		return err == nil
	}
	held := use(0)
	for i := 1; i < 10; i++ {
		use(i)()
	}
	for i := range 10 {
		age(i, time.Duration(10-i)*time.Hour)
	}
	use(1)() // so it is young
	use(10)()
	for i, want := range []bool{true, true, false, false, true, true, true, true, true, true, true} {
		if there(i) != want {
			t.Errorf("file %d: there is %v", i, !want)
		}
	}
	held()
	age(0, 10*time.Hour)
	use(11)()
	use(12)()
	if there(0) {
		t.Error("what was released stays for ever")
	}
	if info, err := os.Stat(s.cache.dir); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the cache is open to others: %v, %v", info.Mode(), err)
	}
}

// child does what BLOB_TEST_DO says with the cache in dir, says so, and waits for ever.
func child(dir string) {
	s, err := Open(Options{Dir: os.Getenv("BLOB_TEST_DIR"), Cache: dir})
	if err != nil {
		panic(err)
	}
	switch os.Getenv("BLOB_TEST_DO") {
	case "hold":
		path, _, err := s.File(context.Background(), reference([]byte("held")))
		if err != nil {
			panic(err)
		}
		fmt.Println(path)
	case "write":
		temp, err := s.cache.create()
		if err != nil {
			panic(err)
		}
		fmt.Fprint(temp, "half")
		fmt.Println(temp.Name())
	}
	select {}
}

func TestProcessesShareACache(t *testing.T) {
	dir, cached := t.TempDir(), t.TempDir()
	s := open(t, Options{Dir: dir, Cache: cached, MaxCache: 1})
	put(t, s, "held")
	start := func(do string) (path string, kill func()) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "BLOB_TEST_CACHE="+cached, "BLOB_TEST_DIR="+dir, "BLOB_TEST_DO="+do)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("the child said %q, %v", line, err)
		}
		return strings.TrimSpace(line), sync.OnceFunc(func() {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // it was killed
		})
	}
	held, kill1 := start("hold")
	defer kill1()
	half, kill2 := start("write")
	defer kill2()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(half, old, old); err != nil {
		t.Fatal(err)
	}
	sweep := func(want bool) {
		t.Helper()
		s.cache.sweep()
		for _, path := range []string{held, half} {
			if _, err := os.Stat(path); (err == nil) != want {
				t.Errorf("%s: there is %v", path, !want)
			}
		}
	}
	sweep(true)
	kill1()
	kill2()
	sweep(false)
}

func TestManyUseACacheThatIsTooSmall(t *testing.T) {
	dir, cached := t.TempDir(), t.TempDir()
	stores := [2]*Store{}
	for i := range stores {
		stores[i] = open(t, Options{Dir: dir, Cache: cached, MaxCache: 3000})
	}
	var refs []string
	var contents [][]byte
	for i := range 8 {
		contents = append(contents, bytes.Repeat([]byte{byte(i)}, 1000))
		refs = append(refs, put(t, stores[0], string(contents[i])))
	}
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := range 60 {
				k := (i*7 + w) % 8
				path, release, err := stores[w%2].File(t.Context(), refs[k])
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, contents[k]) {
					t.Errorf("blob %d: %d bytes, %v", k, len(b), err)
				}
				release()
			}
		})
	}
	group.Wait()
}

// A file that is being written has its lock from the start, also where others look at
// it just then; it keeps it under its own name, and so is not evicted while it is in use.
func TestTemporaryFilesAreLocked(t *testing.T) {
	c, err := openCache(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					c.sweep()
				}
			}
		})
	}
	var made []*temp
	for range 500 {
		f, err := c.create()
		if err != nil {
			t.Fatal(err)
		}
		defer f.discard()
		made = append(made, f)
	}
	close(stop)
	looking.Wait()
	for _, f := range made {
		other, err := os.Open(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := filelock.Take(other); !errors.Is(err, filelock.ErrBusy) {
			t.Errorf("somebody else may take it: %v", err)
		}
		other.Close()
	}
}
