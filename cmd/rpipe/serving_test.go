package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// serving COMMAND ARGS...: the command is started, and has said where it serves;
// its stderr goes to the file log. One at a time.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serving command...")
	}
	for _, name := range []string{"log", "pid", "code"} {
		_ = os.Remove(ts.MkAbs(name))
	}
	script := `{ "$@" 2> log > log.out & echo $! > pid; wait $!; echo $? > code; } > /dev/null 2>&1 &`
	ts.Check(ts.Exec("sh", append([]string{"-c", script, "sh"}, args...)...))
	ts.Defer(func() {
		if _, err := os.Stat(ts.MkAbs("code")); err != nil {
			kill(ts, "KILL")
		}
	})
	url := regexp.MustCompile(`msg=serving url=(\S+)`)
	for range 1200 {
		log, _ := os.ReadFile(ts.MkAbs("log"))
		if m := url.FindSubmatch(log); m != nil {
			ts.Setenv("URL", string(m[1]))
			return
		}
		if code, err := os.ReadFile(ts.MkAbs("code")); err == nil {
			ts.Fatalf("ended with status %s:\n%s", code, log)
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("does not serve after a minute:\n%s", ts.ReadFile("log"))
}

// stopped CODE SIGNAL: what serving started is sent the signal and ends with this
// status.
func stopped(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: stopped code signal")
	}
	kill(ts, args[1])
	for range 1200 {
		if code, err := os.ReadFile(ts.MkAbs("code")); err == nil && len(code) > 0 {
			if got := strings.TrimSpace(string(code)); got != args[0] {
				ts.Fatalf("exit status %s, want %s:\n%s", got, args[0], ts.ReadFile("log"))
			}
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("still there a minute after SIG%s:\n%s", args[1], ts.ReadFile("log"))
}

// signal NAME: what serving started is sent the signal.
func signalNow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signal name")
	}
	kill(ts, args[0])
}

func kill(ts *testscript.TestScript, signal string) {
	ts.Check(ts.Exec("sh", "-c", "kill -"+signal+" $(cat pid)"))
}

// logged PATTERN: the log of what serving started comes to have it.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: logged pattern")
	}
	pattern := regexp.MustCompile(args[0])
	for range 600 {
		if pattern.MatchString(ts.ReadFile("log")) {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("%s is not in the log:\n%s", args[0], ts.ReadFile("log"))
}

// fetched STATUS PATH [PATTERN] [HEADER: VALUE]...: a GET is answered so.
func fetched(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fetched status path [pattern] [header]...")
	}
	r, err := http.NewRequest(http.MethodGet, ts.Getenv("URL")+args[1], nil)
	ts.Check(err)
	for _, h := range args[min(3, len(args)):] {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := http.Client{
		Timeout:       time.Minute,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	text := fmt.Sprintf("%s\n%s", head(resp.Header), body)
	if strconv.Itoa(resp.StatusCode) != args[0] {
		ts.Fatalf("GET %s: status %d, want %s\n%s", args[1], resp.StatusCode, args[0], text)
	}
	if len(args) > 2 && !regexp.MustCompile(args[2]).MatchString(text) {
		ts.Fatalf("GET %s: no %s in\n%s", args[1], args[2], text)
	}
}

// asking PATH MARK: a GET is under way, of which R has made the file, and its
// status goes to the file answer.
func asking(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: asking path mark")
	}
	url, answer := ts.Getenv("URL")+args[0], ts.MkAbs("answer")
	for _, name := range []string{answer, ts.MkAbs(args[1])} {
		_ = os.Remove(name)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		text := "dropped"
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			text = strconv.Itoa(resp.StatusCode)
		}
		_ = os.WriteFile(answer+".part", []byte(text), 0o600)
		_ = os.Rename(answer+".part", answer)
	}()
	ts.Defer(func() { <-done }) // it ends with the server, which is killed before
	awaitFile(ts, args[1])
}

// answered STATUS: what asking asked has been answered so.
func answered(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: answered status")
	}
	awaitFile(ts, "answer")
	if got := ts.ReadFile("answer"); got != args[0] {
		ts.Fatalf("status %s, want %s", got, args[0])
	}
}

func awaitFile(ts *testscript.TestScript, name string) {
	for range 600 {
		if _, err := os.Stat(ts.MkAbs(name)); err == nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("no file %s after half a minute:\n%s", name, ts.ReadFile("log"))
}

func head(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return strings.ReplaceAll(b.String(), "\r", "")
}
