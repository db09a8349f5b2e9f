package plumber

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/rpipe-dev/rpipe/rpool"
)

func TestHeadersOfRAreSentAsTheyAreUnlessTheyWouldBreakTheAnswer(t *testing.T) {
	f := func(method string, p rpool.HTTPResponse, want http.Header, body string) {
		t.Helper()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { write(w, r, &p) }))
		defer s.Close()
		r, err := http.NewRequest(method, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		got := make([]byte, 100)
		n, _ := res.Body.Read(got)
		res.Header.Del("Date")
		if string(got[:n]) != body || len(res.Header) != len(want) {
			t.Errorf("%s %+v: %q with %v, want %q with %v", method, p, got[:n], res.Header, body, want)
		}
		for k, v := range want {
			if !slices.Equal(res.Header[k], v) {
				t.Errorf("%s: %q, want %q", k, res.Header[k], v)
			}
		}
	}
	h := func(pairs ...string) (list []rpool.Field) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, rpool.Field{Name: pairs[i], Value: pairs[i+1]})
		}
		return list
	}
	f("GET", rpool.HTTPResponse{Status: 200, Body: []byte("<p>")}, http.Header{"Content-Length": {"3"}}, "<p>")
	f("GET", rpool.HTTPResponse{Status: 418, Headers: h("Set-Cookie", "a", "Set-Cookie", "b", "content-type", "x/y")},
		http.Header{"Content-Length": {"0"}, "Set-Cookie": {"a", "b"}, "Content-Type": {"x/y"}}, "")
	f("GET", rpool.HTTPResponse{Status: 200, Headers: h("X", "a\r\nY: b", "bad name", "1", "", "2", "Connection", "close", "Trailer:Z", "3", "Content-Length", "1e+05"), Body: []byte("b")},
		http.Header{"Content-Length": {"1"}, "X": {"a  Y: b"}}, "b")
	f("HEAD", rpool.HTTPResponse{Status: 200, Headers: h("Content-Length", "1e+05")}, http.Header{"Content-Length": {"100000"}}, "")
	f("HEAD", rpool.HTTPResponse{Status: 200, Body: []byte("body")}, http.Header{"Content-Length": {"4"}}, "")
	f("GET", rpool.HTTPResponse{Status: 204, Headers: h("X", "1"), Body: []byte("none")}, http.Header{"X": {"1"}}, "")
}
