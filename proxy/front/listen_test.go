package front

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
)

func TestAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "front.sock")
	s := setup{listen: "address: " + path}.start(t, who)
	ask := func(s *site, headers string) string {
		t.Helper()
		c := s.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", headers)
		_, body := c.answer()
		return body
	}
	if got := ask(s, "X-Forwarded-For: 1.2.3.4\r\n"); !strings.HasPrefix(got, "invalid IP http |  http") {
		t.Errorf("from nobody who is trusted: %q", got)
	}
	if _, err := New(decoded[Listen](t, "address: "+path), Deps{TempDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "another program listens there") {
		t.Error(err)
	}
	s.Close()
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left")
	}

	// One that a killed process left is no obstacle.
	l, err := net.Listen("unix", path)
	must(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	s = setup{listen: "address: " + path + "\ntrusted_proxies: unix"}.start(t, who)
	if got := ask(s, "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"); got != "1.2.3.4 https | 1.2.3.4 https 1.2.3.4" {
		t.Errorf("behind a proxy: %q", got)
	}

	file := filepath.Join(t.TempDir(), "precious.txt")
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	if _, err := New(decoded[Listen](t, "address: "+file), Deps{TempDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Error(err)
	}
}

func TestAnAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	s := setup{}.start(t, func(http.ResponseWriter, *http.Request) {})
	_, err := New(decoded[Listen](t, "address: "+s.Addr().String()), Deps{TempDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "listen on "+s.Addr().String()+": another program listens there; end it, or choose another port") {
		t.Error(err)
	}
}

func TestAddressesThatMakeNoSense(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		doc, problems := configs.Parse("p.yaml", []byte("address: \""+address+"\"\n"), configs.Variables{})
		if len(problems) == 0 {
			problems = configs.Decode(doc, new(Listen))
		}
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || !strings.Contains(problems[0].String(), want)) {
			t.Errorf("%s: %v, want %q", address, problems, want)
		}
	}
	f(":3000", "")
	f("[::1]:3000", "")
	f("/run/rpipe.sock", "")
	f("./rpipe.sock", "")
	f("3000", "is neither host:port nor a path")
	f("localhost", "is neither host:port nor a path")
	f("localhost:", "has no port")
}

func TestListenMayBeItsAddress(t *testing.T) {
	c := decoded[struct {
		Listen Listen `yaml:"listen"`
	}](t, "listen: 127.0.0.1:8080")
	if c.Listen.Address != "127.0.0.1:8080" || c.Listen.MaxConnections != 4096 {
		t.Errorf("%+v", c.Listen)
	}
}
