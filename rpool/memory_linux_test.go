package rpool

import (
	"path/filepath"
	"testing"
)

// What an isolated request shares with the worker is not counted twice.
func TestMemoryOfAnIsolatedRequest(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode + `big <- rep(1, 25e6)`}, nil)) // 200 MB
	before := p.RSS()
	if before < 190*mib {
		t.Fatalf("the worker has %d MiB", before/mib)
	}
	dir := t.TempDir()
	f := func(name, code string, least, most int64) {
		t.Helper()
		there, proceed := filepath.Join(dir, name), filepath.Join(dir, name+"-on")
		r := run(code, `file.create("`+there+`")`, `while (!file.exists("`+proceed+`")) Sys.sleep(0.01)`)
		r.Isolate = true
		done := make(chan error, 1)
		go func() {
			_, err := p.Do(t.Context(), r)
			done <- err
		}()
		eventually(t, "the request is under way", func() bool { return exists(there) })
		more := p.RSS() - before
		if more < least*mib || more > most*mib {
			t.Errorf("%s: %d MiB more, want %d to %d", name, more/mib, least, most)
		}
		touch(t, proceed)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	f("reads", `sum(big)`, 1, 60)
	f("writes", `x <- rep(2, 12.5e6)`, 95, 160)
	if after := p.RSS(); after > before+20*mib {
		t.Errorf("%d MiB are left, of %d before", after/mib, before/mib)
	}
}

func BenchmarkPrivateBytes(b *testing.B) {
	p := started(b, launched(b, &Environment{Start: StartFork, Setup: evalCode + `big <- rep(1, 50e6)`}, nil)) // 400 MB
	for b.Loop() {
		if _, known := privateBytes(p.Pid()); !known {
			b.Fatal("the kernel does not tell")
		}
	}
}
