package client

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Who speaks to a server with TLS in a wrong way is told the right one.
func TestServersWithTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	for url, want := range map[string]string{
		s.URL: "--ca or RPIPE_CA names the file with its authority",
		strings.Replace(s.URL, "https:", "http:", 1): "is spoken to without TLS, and wants it: write https:// in --url or RPIPE_URL",
	} {
		c, err := New(Options{URL: url, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Job(t.Context(), "j"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", url, err, want)
		}
	}
}
