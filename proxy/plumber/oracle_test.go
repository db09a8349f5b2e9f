//go:build unix

package plumber

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// compared is one API and the requests that its two ways of being served are
// compared on, in order.
type compared struct {
	name  string
	path  string // a file, a directory, or a run.R
	calls []call
}

// TestAnswersAreThoseOfPlumberItself serves each API with plumber's own $run() and
// through rpipe, sends both the same requests, and compares what comes back.
func TestAnswersAreThoseOfPlumberItself(t *testing.T) {
	all := append(ownAPIs(), examples(t)...)
	ports := startOracle(t, all)
	total := 0
	for _, c := range all {
		total += len(c.calls)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := Config{Docs: true, Static: true, Retry: true}
			if info, err := os.Stat(c.path); err == nil && info.IsDir() {
				config.Dir = c.path
			} else {
				config.File = c.path
			}
			s := serve(t, settings{config: config})
			for _, q := range c.calls {
				compare(t, q, send(t, ports[c.name], q), send(t, s.addr, q))
			}
		})
	}
	t.Logf("%d requests to %d APIs", total, len(all))
}

// startOracle runs plumber's own server for each API and returns their addresses.
func startOracle(t *testing.T, all []compared) map[string]string {
	t.Helper()
	cmd := exec.Command("Rscript", "--vanilla", "testdata/oracle.R")
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var input bytes.Buffer
	for _, c := range all {
		abs, err := filepath.Abs(c.path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&input, "%s\t%s\t%d\n", c.name, abs, freePort(t))
	}
	cmd.Stdin = &input
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ports := make(map[string]string)
	drained := make(chan struct{})
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-drained
		cmd.Wait()
	})
	ready := make(chan string)
	go func() {
		defer close(drained)
		defer close(ready)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "@") {
				ready <- lines.Text()
			}
		}
	}()
	for range all {
		line, ok := <-ready
		var name string
		var port int
		if _, err := fmt.Sscanf(line, "@ready %s %d", &name, &port); !ok || err != nil {
			t.Fatalf("the oracle says %q\n%s", line, stderr.String())
		}
		ports[name] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return ports
}

// freePort is a port that nobody listens on, and httpuv is not afraid of.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// incomparable are headers that the connection decides on.
var incomparable = []string{"date", "connection", "transfer-encoding", "content-length"}

// compare holds an answer against that of the oracle.
func compare(t *testing.T, q call, want, got *answer) {
	t.Helper()
	where := q.method + " " + q.target
	if len(q.headers) > 0 {
		where += fmt.Sprintf(" %q", q.headers)
	}
	if got.status != want.status {
		t.Errorf("%s: status %d, plumber %d (%q, plumber %q)", where, got.status, want.status, cut(got.body), cut(want.body))
		return
	}
	if g, w := comparable(got), comparable(want); !slices.Equal(g, w) {
		t.Errorf("%s: headers\n     %q\nplumber %q", where, g, w)
	}
	if g, w := masked(got), masked(want); !bytes.Equal(g, w) {
		t.Errorf("%s: body\n     %q\nplumber %q", where, cut(g), cut(w))
	}
	if n := got.get("Content-Length"); q.method != "HEAD" && n != "" && n != fmt.Sprint(len(got.body)) {
		t.Errorf("%s: Content-Length %s of a body of %d bytes", where, n, len(got.body))
	}
}

func comparable(a *answer) []string {
	var list []string
	for _, h := range a.headers {
		if a.status == http.StatusNotModified && h[0] == "Content-Type" {
			continue // net/http leaves it out
		}
		if !slices.Contains(incomparable, strings.ToLower(h[0])) {
			value := h[1]
			if h[0] == "Set-Cookie" {
				value = sealed.ReplaceAllString(value, "=sealed")
				value = maxAge.ReplaceAllString(value, "Max-Age= seconds")
			}
			if h[0] == "X-File" {
				value = "a name of R's"
			}
			list = append(list, h[0]+": "+value)
		}
	}
	// Go sends headers in the order of their names, and those of one name in ours.
	slices.SortStableFunc(list, func(a, b string) int {
		return strings.Compare(a[:strings.Index(a, ":")], b[:strings.Index(b, ":")])
	})
	return list
}

var (
	// sealed is an encrypted session, which has a nonce.
	sealed = regexp.MustCompile(`=[A-Za-z0-9+/%]{20,}[^;]*`)
	// maxAge is from the moment of the answer to the time of Expires, which is compared.
	maxAge = regexp.MustCompile(`Max-Age= \d{4,}`)
	// dates of a PDF, and of what an API prints.
	dates = regexp.MustCompile(`\(D:\d{14}[^)]*\)|20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?`)
	// what R calls an environment.
	pointer = regexp.MustCompile(`<environment: 0x[0-9a-f]+>`)
)

// masked is a body less what differs between any two runs of R.
func masked(a *answer) []byte {
	b := dates.ReplaceAll(a.body, []byte("a time"))
	return pointer.ReplaceAll(b, []byte("an environment"))
}

func cut(b []byte) []byte {
	if len(b) > 600 {
		return append(slices.Clone(b[:600]), "..."...)
	}
	return b
}
