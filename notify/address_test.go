package notify

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
)

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "2606:2800:220:1:248:1893:25c8:1946": true, "172.32.0.1": true, "11.0.0.1": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::1": false, "::": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::7f00:1": false, "fe80::1%eth0": false,
		"fc00::1": false, "fd00:ec2::254": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false, "ff02::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestPrivateAddressesAreRefused: whatever the name looks like, when it is dialed.
func TestPrivateAddressesAreRefused(t *testing.T) {
	h := newHook(t)
	_, port, err := net.SplitHostPort(h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{
		h.URL, "http://localhost:" + port, "http://2130706433:" + port, "http://0x7f.1:" + port, "http://0:" + port,
		"http://[::ffff:127.0.0.1]:" + port, "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1:" + port, "http://[::1]:" + port, "http://0.0.0.0:" + port,
	} {
		n, log := notifier(t, "", map[string]Target{"ops": target(address, func(t *Target) { t.AllowPrivate, t.Retries = false, 2 })})
		if err := n.Send([]string{"ops"}, failed); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return n.of("ops").Failed == 1 })
		if got := n.of("ops"); strings.Contains(address, "2130706433") || strings.Contains(address, "0x7f") || strings.Contains(address, "//0:") {
			// Go's resolver may take these for names, which then are not there.
		} else if got.Retried != 0 || !strings.Contains(got.LastError, "not public") {
			t.Errorf("%s: %+v\n%s", address, got, log.String())
		}
	}
	if len(h.got) != 0 {
		t.Error("a private address was reached")
	}
}

// TestRebinding: the address is looked at when the connection is made. A name that was
// public when the configuration was read, or on the attempt before, opens nothing.
func TestRebinding(t *testing.T) {
	h := newHook(t)
	n, _ := notifier(t, "", map[string]Target{"ops": target("http://hooks.example:80", func(t *Target) { t.AllowPrivate = false })})
	tr := n.targets["ops"].client.Transport.(*http.Transport)
	dial := tr.DialContext
	tr.DialContext = nil
	// What a resolver would answer the second time: everything else is the product's.
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, h.Listener.Addr().String())
	}
	err := n.Try(t.Context(), "ops", failed)
	if !errors.Is(err, ErrPrivate) || len(h.got) != 0 {
		t.Errorf("%v", err)
	}
}

// TestARedirectLeadsNowhere: a public server must not send us to one within.
func TestARedirectLeadsNowhere(t *testing.T) {
	inside := newHook(t)
	var paths []string
	outside := newHook(t, 302, 307, 308)
	outside.location = inside.URL
	n, _ := notifier(t, "", map[string]Target{"ops": target(outside.URL, nil)})
	for range 3 {
		if err := n.Try(t.Context(), "ops", failed); err == nil || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%v", err)
		}
		paths = append(paths, (<-outside.got).URL.Path)
	}
	if len(inside.got)+len(outside.got) != 0 || strings.Join(paths, "") != "///" {
		t.Errorf("it was followed: %v", paths)
	}
}

func TestErrorsDoNotShowTheAddress(t *testing.T) {
	n, log := notifier(t, "", map[string]Target{"ops": target("http://127.0.0.1:1/services/T0/B0/verysecret", func(t *Target) { t.Retries = 0 })})
	err := n.Try(t.Context(), "ops", failed)
	var u *url.Error
	if err == nil || strings.Contains(err.Error(), "verysecret") || errors.As(err, &u) {
		t.Errorf("%v", err)
	}
	n.Send([]string{"ops"}, failed)
	eventually(t, func() bool { return n.of("ops").Failed == 1 })
	if strings.Contains(log.String()+n.of("ops").LastError, "verysecret") {
		t.Errorf("%s", log.String())
	}
}

func TestTargetsAreChecked(t *testing.T) {
	f := func(target Target, want string) {
		t.Helper()
		var got []string
		target.Check(func(field, message, _ string) { got = append(got, field+" "+message) })
		if s := strings.Join(got, "; "); !strings.Contains(s, want) || want == "" && s != "" {
			t.Errorf("%q, want %q", s, want)
		}
	}
	h := func(name, value string) Target {
		return Target{URL: "https://h/x", Headers: map[string]configs.Secret{name: configs.Secret(value)}}
	}
	f(Target{URL: "https://h/x"}, "")
	f(Target{URL: "ftp://h/x"}, "url is no address")
	f(Target{URL: "file:///etc/passwd"}, "url is no address")
	f(Target{URL: "https://u:p@h/x"}, "user or password")
	f(h("X-Key", "a b"), "")
	f(h("X-Key", "a\r\nHost: evil"), "headers.X-Key cannot")
	f(h("X Key", "a"), "headers.X Key cannot")
	f(h("X:\n", "a"), "cannot be sent")
}
