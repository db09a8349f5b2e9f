package webapi

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func tlsServer(t *testing.T, http2 bool, f http.HandlerFunc) (s *httptest.Server, dir string) {
	t.Helper()
	s = httptest.NewUnstartedServer(f)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of clients that do not trust it
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	dir = t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func clientIn(t *testing.T, yaml, dir string, atOnce int) *Client {
	t.Helper()
	c, err := New(config(t, yaml), Options{Dir: dir, AtOnce: atOnce})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCertificates(t *testing.T) {
	s, dir := tlsServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello "+strings.Repeat("client", len(r.TLS.PeerCertificates)))
	})
	s.TLS.ClientAuth = tls.RequestClientCert
	f := func(yaml, want string, class Class) {
		t.Helper()
		resp, err := get(t, clientIn(t, fast+yaml, dir, 1), s.URL)
		var e *Error
		switch {
		case err == nil && string(resp.Body) != want:
			t.Errorf("%s: %s", yaml, resp.Body)
		case err != nil && (!errors.As(err, &e) || !strings.Contains(err.Error(), want) || e.Class != class || e.Tries != 1):
			t.Errorf("%s: %v", yaml, err)
		}
	}
	f("", "name its authority in tls: {ca_file: …}", Fatal)
	f("tls: {ca_file: ca.pem}", "hello ", 0)
	f("tls: {ca_file: ca.pem, cert_file: ca.pem, key_file: key.pem}", "hello client", 0)
	f("tls: {insecure_skip_verify: true}", "hello ", 0)
	f("tls: {ca_file: ca.pem, server_name: example.com}", "hello ", 0)
	f("tls: {ca_file: ca.pem, server_name: example.org}", "example.org", Fatal)

	for yaml, want := range map[string]string{
		"tls: {ca_file: none.pem}":                     "tls.ca_file: open",
		"tls: {ca_file: key.pem}":                      "has no certificate",
		"tls: {cert_file: ca.pem, key_file: none.pem}": "tls.cert_file: open",
	} {
		if _, err := New(config(t, yaml), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

func TestHTTP2IsSpokenUnlessItIsOff(t *testing.T) {
	s, dir := tlsServer(t, true, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	for yaml, want := range map[string]string{"": "HTTP/2.0", "http2: false\n": "HTTP/1.1"} {
		resp, err := get(t, clientIn(t, yaml+"tls: {ca_file: ca.pem}", dir, 1), s.URL)
		if err != nil || string(resp.Body) != want {
			t.Errorf("%s: %s, %v", yaml, resp.Body, err)
		}
	}
}

func TestAnHTTP2StreamThatIsResetIsTriedAgain(t *testing.T) {
	var mu sync.Mutex
	n := 0
	s, dir := tlsServer(t, true, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		first := n < 3
		mu.Unlock()
		io.WriteString(w, "go")
		http.NewResponseController(w).Flush()
		if first {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "od")
	})
	resp, err := get(t, clientIn(t, fast+"tls: {ca_file: ca.pem}", dir, 1), s.URL)
	if err != nil || string(resp.Body) != "good" || resp.Tries != 3 {
		t.Errorf("%+v, %v", resp, err)
	}
}

// TestConnectionsAreReused: as many are opened as requests are under way, and no more.
func TestConnectionsAreReused(t *testing.T) {
	var mu sync.Mutex
	from := map[string]bool{}
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		io.WriteString(w, strings.Repeat("x", 10_000))
	})
	c := clientIn(t, "", "", 8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := get(t, c, url); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(from) > 8 {
		t.Errorf("200 requests, 8 at once, took %d connections", len(from))
	}
}

func TestConnectingHasATimeout(t *testing.T) {
	// A listener whose queue is full does not answer; a server that accepts and
	// never shakes hands is as silent.
	s := httptest.NewUnstartedServer(nil)
	defer s.Listener.Close()
	start := time.Now()
	_, err := get(t, client(t, "connect_timeout: 50ms\nretry: {max_attempts: 1}"), "https://"+s.Listener.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "TLS handshake timeout") || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}
