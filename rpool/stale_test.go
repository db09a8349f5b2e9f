package rpool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The template and its standby have died, and the code has changed meanwhile.
func TestWorkersOfOneEnvironmentHaveTheSameCode(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("helpers.R", "old")
	write("plumber.R", "old")
	inBubble(t, Options{Max: 2, QueueWait: time.Minute}, &fakeR{}, func(t *testing.T, w *world) {
		env := &Environment{Dir: dir, Sources: []string{"helpers.R"}, Files: []string{"plumber.R"}}
		a := w.acquire(env, Interactive)
		write("plumber.R", "new")
		w.templates[0].exit()
		synctest.Wait()
		_, err := w.p.Acquire(w.Context(), env, Interactive)
		if !errors.Is(err, ErrQueueWait) || w.launches != 1 {
			t.Fatalf("%d launches, %v", w.launches, err)
		}
		for _, want := range []string{"R: load plumber.R: changed since", "SIGHUP"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
		if _, err := a.Do(w.Context(), &Request{Kind: Call}); err != nil {
			t.Errorf("the worker that is left: %v", err)
		}

		// The old code again is as good as ever.
		write("plumber.R", "old")
		b := w.acquire(env, Interactive)
		if w.launches != 2 {
			t.Errorf("%d launches", w.launches)
		}

		// Nobody is left to have other code than the new.
		write("helpers.R", "new")
		w.templates[1].exit()
		synctest.Wait()
		for _, p := range w.procs {
			p.die(&DiedError{Pid: p.pid})
		}
		a.Release()
		b.Release()
		w.acquire(env, Interactive).Release()
		if w.launches != 3 {
			t.Errorf("%d launches", w.launches)
		}
	})
}
