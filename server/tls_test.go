package server

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/tokens"
)

// certify writes a certificate for 127.0.0.1 that signs itself, and its key.
func certify(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestANewCertificate is used from the next connection on, and those that are there go on.
func TestANewCertificate(t *testing.T) {
	dir := t.TempDir()
	certify(t, dir, "first")
	f := config(t.TempDir())
	f.Auth = "always"
	f.Listen.TLS = &front.TLS{Cert: dir + "/cert.pem", Key: dir + "/key.pem", MinVersion: "1.2"}
	s := begin(t, f, Options{})
	defer s.close()
	at := strings.TrimPrefix(s.URL(), "https://")
	dial := func() (*tls.Conn, string) {
		t.Helper()
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		return c, c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	old, name := dial()
	defer old.Close()
	answers := bufio.NewReader(old)
	ask := func() *http.Response {
		t.Helper()
		fmt.Fprint(old, "GET /healthz HTTP/1.1\r\nHost: "+at+"\r\n\r\n")
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			t.Errorf("%d, %v", resp.StatusCode, err)
		}
		return resp
	}
	if resp := ask(); name != "first" || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %v", name, resp.Header)
	}
	certify(t, dir, "second")
	eventually(t, func() bool {
		c, name := dial()
		c.Close()
		return name == "second"
	})
	ask() // on the connection of before
	// What does not work stays out of use.
	if err := os.WriteFile(dir+"/key.pem", []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, name := dial()
	c.Close()
	if name != "second" {
		t.Errorf("%s", name)
	}
	// The cookie is one that only TLS gets, of this host alone.
	b := s.browser(t)
	b.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	resp := b.do(t, "POST", "/login", url.Values{"token": {s.token(t, "ana", tokens.Submit)}})
	if resp.StatusCode != 303 || !strings.HasPrefix(resp.Cookies()[0].Name, "__Host-") || !resp.Cookies()[0].Secure {
		t.Errorf("%d %v", resp.StatusCode, resp.Cookies())
	}
	b.is(t, 200, "GET", "/v1/info", nil)
}
