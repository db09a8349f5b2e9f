package front

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Shapes that two servers may read differently, and what no server should take.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := setup{listen: "max_header: 8KiB\nmax_uri: 1KiB"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "[%s]", b)
	})
	f := func(name string, want int, request string) {
		t.Helper()
		c := s.dial()
		c.send("%s", request)
		resp, body := c.answer()
		if resp.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, body, want)
		}
		if want >= 400 && !resp.Close {
			t.Errorf("%s: the connection is kept", name)
		}
		if want >= 400 {
			if rest := c.rest(); rest != "" {
				t.Errorf("%s: more came: %q", name, rest)
			}
		}
	}
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	f("good", 200, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
	f("CL.TE", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled)
	f("TE.CL", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n"+smuggled)
	f("TE and an empty CL", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"+smuggled)
	f("TE in HTTP/1.0", 400, "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab")
	f("TE of another kind", 501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n")
	f("two TE", 501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n")
	f("TE with a space before its colon", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n")
	f("two lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
	f("a signed length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nab")
	f("a length with a list", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 3\r\n\r\nab")
	f("a bad chunk", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n")
	f("no host", 400, "GET / HTTP/1.1\r\n\r\n")
	f("two hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	f("a folded header name", 400, "GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n")
	f("NUL", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n")
	f("no protocol", 400, "GET /\r\n\r\n")
	f("NUL in the path", 400, "GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n")
	f("CONNECT", 400, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")
	f("HTTP/3", 505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n")
	f("headers too large", 431, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 20<<10)+"\r\n\r\n")
	f("path too long", 414, "GET /"+strings.Repeat("x", 1100)+" HTTP/1.1\r\nHost: a\r\n\r\n")
	f("HTTP/1.0", 200, "GET / HTTP/1.0\r\n\r\n")
	f("an unknown expectation", 417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n")
}

// The tap sees the headers of the request at hand, not of others on the connection.
func TestLengthsAreThoseOfTheirOwnRequest(t *testing.T) {
	t.Parallel()
	s := setup{}.start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s[%d]", r.URL.Path, len(b))
	})
	c := s.dial()
	big := strings.Repeat("x", 300<<10)
	for i := range 3 {
		c.send("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(big), big)
		if _, body := c.answer(); body != fmt.Sprintf("/length[%d]", len(big)) {
			t.Fatal(i, body)
		}
		c.send("POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
		if _, body := c.answer(); body != "/chunks[2]" {
			t.Fatal(i, body)
		}
	}
	// The same path again, as of another client behind one proxy.
	for range 2 {
		c.send("POST /same HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
		if resp, _ := c.answer(); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		c.send("POST /same HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
		if resp, body := c.answer(); resp.StatusCode != 200 {
			t.Fatal(resp.Status, body)
		}
	}
	// A body that looks like the headers of the next request hides none of them.
	c.send("POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\nPOST /bad HTTP/1.1\r\nHost: a\r\n\r\nab\r\n")
	if resp, _ := c.answer(); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	// Pipelined, in one write.
	c.send("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" + "POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
		"POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")
	for _, want := range []int{200, 200, 400} {
		if resp, body := c.answer(); resp.StatusCode != want {
			t.Errorf("%d %s, want %d", resp.StatusCode, body, want)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := setup{policy: "max_body: 10B"}.start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "[%s]", b)
	})
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if resp, _ := c.answer(); resp.StatusCode != 100 {
		t.Fatalf("%d before the body", resp.StatusCode)
	}
	c.send("ab")
	if resp, body := c.answer(); resp.StatusCode != 200 || body != "[ab]" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	c = s.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
	if resp, _ := c.answer(); resp.StatusCode != 413 || !resp.Close {
		t.Errorf("%d for what is too large, close %v", resp.StatusCode, resp.Close)
	}
}
