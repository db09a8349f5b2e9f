package s3test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/rpipe-dev/rpipe/store"
)

// Front puts a handler before the server for one test: one that loses answers,
// refuses, or looks at requests. next is the server. A handler that panics with
// http.ErrAbortHandler cuts the connection.
func (s *Server) Front(t testing.TB, handler func(w http.ResponseWriter, r *http.Request, next http.Handler)) store.Config {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: transport,
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r, proxy) }))
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are cut on purpose
	proxy.ErrorLog = front.Config.ErrorLog
	front.Start()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		transport.CloseIdleConnections()
	})
	config := s.Config()
	config.Endpoint = front.URL
	return config
}
