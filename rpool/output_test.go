//go:build unix

package rpool

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestFloodsOfOutput(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := p.Do(t.Context(), run(`
		line <- paste0(strrep("x", 999), "\n")
		block <- strrep(line, 1000)
		for (i in 1:50) { cat(block); cat(block, file = stderr()) }
		system("head -c 5000000 /dev/zero | tr '\\0' y; head -c 5000000 /dev/zero | tr '\\0' z >&2")
		42`))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if !strings.HasPrefix(r.Output, strings.Repeat("x", 999)+"\n") || len(r.Output) > maxCaptured+100 {
		t.Errorf("%d bytes of output were kept", len(r.Output))
	}
	if want := fmt.Sprintf("\n[%d bytes more]\n", 110_000_000-maxCaptured); !strings.HasSuffix(r.Output, want) {
		t.Errorf("the output ends with %q, want %q", r.Output[len(r.Output)-40:], want)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("110 MB of output took %d MiB of allocations", grown>>20)
	}
	if got := printed(t, p, `cat("then")`); got != "then" {
		t.Errorf("the next request printed %q", got)
	}
}

// What R has written before it fails is in the last lines, though nobody has read it yet.
func TestLastLinesAreThoseUpToNow(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	o, err := newOutput(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer o.finish()
	for i := range 300 {
		line := fmt.Sprintf("line %d\n", i)
		if _, err := w.WriteString(line); err != nil {
			t.Fatal(err)
		}
		if got := o.lastLines(); !strings.HasSuffix(got, line) {
			t.Fatalf("after %q: %q", line, got)
		}
	}
}

func TestOutputGoesToItsRequest(t *testing.T) {
	var mu sync.Mutex
	var stray []string
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode + `cat("loading\n")`, BeforeFork: `message("forking")`, AfterFork: `cat("born\n")`},
		&Options{Output: func(pid int, line string) {
			mu.Lock()
			defer mu.Unlock()
			stray = append(stray, line)
		}})
	p := started(t, tpl)
	for i := range 200 {
		if got, want := printed(t, p, fmt.Sprintf(`cat("request %d\n"); message("to stderr"); system("echo from a child")`, i)), fmt.Sprintf("request %d\nto stderr\nfrom a child\n", i); got != want {
			t.Fatalf("request %d printed %q", i, got)
		}
	}
	// What comes between requests is nobody's.
	printed(t, p, `system("(while [ ! -e $TMPDIR/go ]; do sleep 0.01; done; echo late; touch $TMPDIR/said) &")`)
	touch(t, p.dir+"/tmp/go")
	eventually(t, "a background process has spoken", func() bool { return exists(p.dir + "/tmp/said") })
	if got := printed(t, p, `cat("mine")`); got != "mine" {
		t.Errorf("a request after stray output printed %q", got)
	}
	p.Stop()
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(stray)
	// The standby's fork is one, too.
	if want := []string{"born", "forking", "forking", "late", "loading"}; !slices.Equal(stray, want) {
		t.Errorf("stray lines %q, want %q", stray, want)
	}
}

func TestIdleWorkersAreDrained(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	printed(t, p, `system("(head -c 3000000 /dev/zero; touch $TMPDIR/done) &")`)
	eventually(t, "a background process has written 3 MB to an idle worker's log", func() bool { return exists(p.dir + "/tmp/done") })
}

func TestCodeThatSpeaksAloudIsHeardAtOnce(t *testing.T) {
	heard := make(chan string, 16)
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, &Options{Output: func(pid int, line string) { heard <- line }})
	p := started(t, tpl)
	printed(t, p, `cat("kept\n")`)
	r := run(`cat("now\n"); while (!file.exists(file.path(Sys.getenv("TMPDIR"), "heard"))) Sys.sleep(0.01)`)
	r.Aloud = true
	done := make(chan *Reply, 1)
	go func() {
		reply, err := p.Do(t.Context(), r)
		if err != nil {
			t.Error(err)
		}
		done <- reply
	}()
	if line := <-heard; line != "now" {
		t.Errorf("heard %q", line)
	}
	touch(t, p.dir+"/tmp/heard")
	if reply := <-done; reply != nil && reply.Output != "" {
		t.Errorf("the reply has %q too", reply.Output)
	}
	if got := printed(t, p, `cat("then")`); got != "then" {
		t.Errorf("the next request printed %q", got)
	}
}
