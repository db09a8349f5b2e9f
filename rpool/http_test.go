//go:build unix

package rpool

import (
	"testing"
)

// echo answers with what it was asked, as a handler that nobody's package wrote.
const echo = `structure(function(req) list(
  status = 201L,
  headers = list("X-Path" = req$PATH_INFO, "Set-Cookie" = "a=1", "Set-Cookie" = "b=2", "X-Length" = 3),
  body = paste(req$REQUEST_METHOD, req$HEADERS[["x-one"]], rawToChar(req$rook.input$read()))
), about = "an echo")`

func TestAHandlerAnswersHTTP(t *testing.T) {
	t.Parallel()
	tpl := launched(t, &Environment{Start: StartFork, Handler: echo}, nil)
	if tpl.About() != "an echo" {
		t.Errorf("about %q", tpl.About())
	}
	w := started(t, tpl)
	reply, err := w.Do(t.Context(), &Request{Kind: HTTP, HTTP: &HTTPRequest{
		Vars:    []Field{{"REQUEST_METHOD", "POST"}, {"PATH_INFO", "/a"}},
		Headers: []Field{{"x-one", "é"}},
		Body:    []byte("body"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := reply.HTTP
	want := []Field{{"X-Path", "/a"}, {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}, {"X-Length", "3"}}
	if r.Status != 201 || string(r.Body) != "POST é body" || len(r.Headers) != len(want) {
		t.Fatalf("%+v, body %q", r, r.Body)
	}
	for i := range want {
		if r.Headers[i] != want[i] {
			t.Errorf("header %d: %v", i, r.Headers[i])
		}
	}
}
