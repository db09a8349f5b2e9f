package front

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// authority of a test, which signs certificates.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	next atomic.Int64 // serial number of the last certificate, less one
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	ca := new(issuer)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca.key = key
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	ca.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return ca
}

// issue makes a certificate for 127.0.0.1 and its key, in PEM.
func (ca *issuer) issue(t testing.TB, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1 + ca.next.Add(1)), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, private.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

func put(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// client trusts the authority.
func (ca *issuer) client(t testing.TB, change func(*http.Transport)) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	if change != nil {
		change(transport)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (s *site) https(path string) string { return "https://" + s.Addr().String() + path }

// answerOf is the protocol of an answer with its body.
func answerOf(t testing.TB, c *http.Client, url string) (text string, resp *http.Response) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Proto + " " + string(body), resp
}

func secureHello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s", exchange.Of(r.Context()).Scheme, r.Header.Get("X-Forwarded-Proto"))
}

const tlsYAML = "tls: {cert: tls.crt, key: tls.key}\n"

func TestTLS(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	cert, key := ca.issue(t, "first")
	put(t, dir+"/tls.crt", cert)
	put(t, dir+"/tls.key", key)
	s := setup{listen: tlsYAML, deps: Deps{Dir: dir}}.start(t, secureHello)
	if got, _ := answerOf(t, ca.client(t, nil), s.https("/")); got != "HTTP/2.0 https https" {
		t.Error(got)
	}
	one := ca.client(t, func(tr *http.Transport) {
		tr.ForceAttemptHTTP2 = false
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
	})
	if got, _ := answerOf(t, one, s.https("/")); got != "HTTP/1.1 https https" {
		t.Error(got)
	}
	plain := s.dial()
	plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, body := plain.answer(); resp.StatusCode != 400 || !strings.Contains(body, "https://") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// The headers are looked at below TLS as well.
	c, err := tls.Dial("tcp", s.Addr().String(), one.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	if got, _ := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !contains(string(got), "ambiguous_length") {
		t.Errorf("%q", got)
	}
	old := ca.client(t, func(tr *http.Transport) { tr.TLSClientConfig.MaxVersion = tls.VersionTLS11 })
	if _, err := old.Get(s.https("/")); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

func TestHTTP2IsOffWhereItIsNotWanted(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	cert, key := ca.issue(t, "first")
	put(t, dir+"/tls.crt", cert)
	put(t, dir+"/tls.key", key)
	s := setup{listen: tlsYAML + "http2: \"off\"", deps: Deps{Dir: dir}}.start(t, secureHello)
	if got, _ := answerOf(t, ca.client(t, nil), s.https("/")); got != "HTTP/1.1 https https" {
		t.Error(got)
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	two := &http.Transport{Protocols: new(http.Protocols)}
	two.Protocols.SetUnencryptedHTTP2(true)
	defer two.CloseIdleConnections()
	s := setup{listen: "http2: cleartext"}.start(t, secureHello)
	for range 3 {
		if got, _ := answerOf(t, &http.Client{Transport: two}, s.url("/")); got != "HTTP/2.0 http http" {
			t.Error(got)
		}
	}
	if resp, _ := s.get("/"); resp.ProtoMajor != 1 {
		t.Error(resp.Proto)
	}
	not := setup{}.start(t, secureHello)
	if resp, err := two.RoundTrip(request(t, not.url("/"))); err == nil {
		t.Errorf("HTTP/2 was spoken: %s", resp.Proto)
	}
}

func request(t testing.TB, url string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClientsMayNeedACertificate(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	cert, key := ca.issue(t, "server")
	put(t, dir+"/tls.crt", cert)
	put(t, dir+"/tls.key", key)
	put(t, dir+"/ca.crt", ca.pem)
	s := setup{listen: "tls: {cert: tls.crt, key: tls.key, client_ca: ca.crt, min_version: 1.3}", deps: Deps{Dir: dir}}.start(t, secureHello)
	if _, err := ca.client(t, nil).Get(s.https("/")); err == nil {
		t.Error("a client without a certificate got in")
	}
	mine, err := tls.X509KeyPair(ca.issue(t, "client"))
	if err != nil {
		t.Fatal(err)
	}
	known := ca.client(t, func(tr *http.Transport) { tr.TLSClientConfig.Certificates = []tls.Certificate{mine} })
	if got, _ := answerOf(t, known, s.https("/")); got != "HTTP/2.0 https https" {
		t.Error(got)
	}
	stranger, err := tls.X509KeyPair(newIssuer(t).issue(t, "client"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.client(t, func(tr *http.Transport) { tr.TLSClientConfig.Certificates = []tls.Certificate{stranger} }).Get(s.https("/")); err == nil {
		t.Error("a certificate of another authority got in")
	}
}

func TestCertificatesAreLoadedAgain(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t)
	f := func(name string, install func(dir string, cert, key []byte)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cert, key := ca.issue(t, "first")
			install(dir, cert, key)
			s := setup{listen: tlsYAML, deps: Deps{Dir: dir}}.start(t, secureHello)
			kept := ca.client(t, nil)
			serves := func(c *http.Client, want string) {
				t.Helper()
				if _, resp := answerOf(t, c, s.https("/")); resp.TLS.PeerCertificates[0].Subject.CommonName != want {
					t.Errorf("the certificate of %s, want %s", resp.TLS.PeerCertificates[0].Subject.CommonName, want)
				}
			}
			serves(kept, "first")
			s.log.wait(t, "certificates are watched")

			// A pair that does not fit together changes nothing.
			_, other := ca.issue(t, "broken")
			install(dir, cert, other)
			s.log.wait(t, "the old one stays")
			if !contains(s.log.String(), "tls.key", "private key does not match") {
				t.Errorf("the log: %s", s.log)
			}
			serves(ca.client(t, nil), "first")

			cert, key = ca.issue(t, "second")
			install(dir, cert, key)
			s.log.wait(t, "a new certificate is in use")
			serves(ca.client(t, nil), "second")
			serves(kept, "first") // its connection lives on
		})
	}
	f("files written in place", func(dir string, cert, key []byte) {
		put(t, dir+"/tls.crt", cert)
		put(t, dir+"/tls.key", key)
	})
	f("files renamed", func(dir string, cert, key []byte) {
		for name, data := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
			put(t, dir+"/new", data)
			if err := os.Rename(dir+"/new", dir+"/"+name); err != nil {
				t.Fatal(err)
			}
		}
	})
	// As Kubernetes mounts a secret: tls.crt -> ..data/tls.crt, ..data -> ..2026_1,
	// and ..data is replaced at once.
	n := 0
	f("a directory behind a link", func(dir string, cert, key []byte) {
		n++
		version := fmt.Sprintf("..2026_%d", n)
		put(t, filepath.Join(dir, version, "tls.crt"), cert)
		put(t, filepath.Join(dir, version, "tls.key"), key)
		must(t, os.Symlink(version, dir+"/..tmp"))
		must(t, os.Rename(dir+"/..tmp", dir+"/..data"))
		for _, name := range []string{"tls.crt", "tls.key"} {
			if err := os.Symlink("..data/"+name, dir+"/"+name); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCertificatesThatCannotBeHad(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	cert, _ := ca.issue(t, "a")
	_, key := ca.issue(t, "b")
	put(t, dir+"/a.crt", cert)
	put(t, dir+"/b.key", key)
	f := func(yaml, want string) {
		t.Helper()
		front, err := New(decoded[Listen](t, "address: 127.0.0.1:0\n"+yaml), Deps{Dir: dir, TempDir: t.TempDir()})
		if err == nil {
			front.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", yaml, err, want)
		}
	}
	f("tls: {cert: no.crt, key: b.key}", "no.crt")
	f("tls: {cert: a.crt, key: b.key}", "does not match")
	f("tls: {cert: b.key, key: b.key}", "b.key")
}

func TestHTTP2Requests(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	cert, key := ca.issue(t, "first")
	put(t, dir+"/tls.crt", cert)
	put(t, dir+"/tls.key", key)
	began, ended := make(chan struct{}), make(chan error, 1)
	big := strings.Repeat("x", 3<<20)
	s := setup{listen: tlsYAML + "body_timeout: 2s\nwrite_timeout: 2s\nwrite_rate: 10MB\nbody_rate: 10MB", deps: Deps{Dir: dir}, policy: "max_body: 5MiB\nmemory_body: 2MiB"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/work":
			began <- struct{}{}
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
		case "/big":
			io.WriteString(w, big)
		case "/huge": // more than the client lets come without reading
			io.WriteString(w, strings.Repeat(big, 6))
		default:
			sizes(t)(w, r)
		}
	})
	c := ca.client(t, nil)
	post := func(body io.Reader) (int, string) {
		t.Helper()
		resp, err := c.Post(s.https("/"), "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for range 3 {
		if status, got := post(strings.NewReader(big)); status != 200 || got != "3145728 in file" {
			t.Error(status, got)
		}
		if status, got := post(io.MultiReader(strings.NewReader("xx"))); status != 200 || got != "2 in memory" {
			t.Error(status, got)
		}
		if got, _ := answerOf(t, c, s.https("/big")); got != "HTTP/2.0 "+big {
			t.Error(len(got))
		}
	}
	if status, _ := post(strings.NewReader(big + big)); status != 413 {
		t.Error(status)
	}
	// A body that stops coming.
	r, w := io.Pipe()
	go w.Write([]byte("xx"))
	if status, got := post(r); status != 408 {
		t.Error(status, got)
	}
	w.Close()
	// A stream that its client resets, on a connection that lives on.
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if _, err := c.Do(request(t, s.https("/work")).WithContext(ctx)); err == nil {
		t.Error("an answer came")
	}
	if err := <-ended; !errors.Is(err, fault.ErrClientGone) {
		t.Error(err)
	}
	// A reader that does not read.
	resp, err := c.Get(s.https("/huge"))
	must(t, err)
	for d := range s.done {
		var f *fault.Fault
		if errors.As(d.Err, &f) && f.Reason == "slow_reader" {
			break
		}
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes came, and their end", n)
	}
	resp.Body.Close()
}

func TestShutdownAnswersHTTP2(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), newIssuer(t)
	cert, key := ca.issue(t, "first")
	put(t, dir+"/tls.crt", cert)
	put(t, dir+"/tls.key", key)
	began, release := make(chan struct{}), make(chan struct{})
	s := setup{listen: tlsYAML, deps: Deps{Dir: dir}}.start(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-release
		io.WriteString(w, "done")
	})
	answer := make(chan string)
	go func() {
		resp, err := ca.client(t, nil).Get(s.https("/"))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- resp.Proto + " " + string(body)
	}()
	<-began
	ended := make(chan error)
	go func() { ended <- s.Shutdown(t.Context()) }()
	s.log.wait(t, "no connection is accepted any more")
	close(release)
	if got := <-answer; got != "HTTP/2.0 done" {
		t.Error(got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
