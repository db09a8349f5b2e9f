package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/notify"
	"github.com/rpipe-dev/rpipe/proxy/front"
)

func loopbackNetwork(t testing.TB) front.Network {
	t.Helper()
	var n front.Network
	if err := n.UnmarshalText([]byte("loopback")); err != nil {
		t.Fatal(err)
	}
	return n
}

// withTarget adds one to those of notify.
func withTarget(f *File, name, address string, change func(*notify.Target)) {
	var target notify.Target
	configs.SetDefaults(&target)
	target.URL, target.AllowPrivate, target.Retries = configs.Secret(address), true, 0
	if change != nil {
		change(&target)
	}
	if f.Notify == nil {
		f.Notify = map[string]notify.Target{}
	}
	f.Notify[name] = target
}

func (s *site) browserURL() (*url.URL, error) { return url.Parse(s.URL()) }

// get decodes a document.
func (s *site) get(t testing.TB, path string, into any, header ...string) {
	t.Helper()
	status, _, body := s.ask(t, "GET", path, "", header...)
	if status != 200 {
		t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatal(err)
	}
}

// roundTrip sends a head and a body as they are and reads the answer.
func roundTrip(t testing.TB, c net.Conn, head, body string) (int, http.Header, string) {
	t.Helper()
	if body != "" {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(c, head+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// statusOf is that of the next answer on a connection.
func statusOf(t testing.TB, c net.Conn) int {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
