package front

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkRequest is a small request over a connection that is kept, with the
// front and its guard, and with net/http alone: what the front costs is the
// difference.
func BenchmarkRequest(b *testing.B) {
	hello := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "16")
		io.WriteString(w, `{"msg":["hello"]}`[:16])
	}
	ask := func(b *testing.B, c *raw, method, body string) {
		request := method + " /hello HTTP/1.1\r\nHost: a\r\n"
		if body != "" {
			request += "Content-Length: 1000\r\n"
		}
		request += "\r\n" + body
		for b.Loop() {
			c.send("%s", request)
			if _, body := c.answer(); len(body) != 16 {
				b.Fatal(body)
			}
		}
	}
	for _, kind := range []struct{ name, method, body string }{{"GET", "GET", ""}, {"POST-1000", "POST", strings.Repeat("x", 1000)}} {
		b.Run(kind.name+"/front", func(b *testing.B) {
			s := setup{log: "file: " + b.TempDir() + "/access.log"}.start(b, hello)
			ask(b, s.dial(), kind.method, kind.body)
		})
		b.Run(kind.name+"/net-http", func(b *testing.B) {
			s := &site{t: b, Front: &Front{listener: newPipes()}}
			server := &http.Server{Handler: http.HandlerFunc(hello)}
			l, err := (&Listen{Address: "127.0.0.1:0"}).bind()
			if err != nil {
				b.Fatal(err)
			}
			s.listener = l
			go server.Serve(l)
			b.Cleanup(func() { server.Close() })
			ask(b, s.dial(), kind.method, kind.body)
		})
	}
}
