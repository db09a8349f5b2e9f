package webapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origin is where a request goes first, and what proves there whose it is.
type origin struct {
	url    *url.URL
	header http.Header
	left   bool // a redirect has led elsewhere: what comes back from there is not believed either
}

type originKey struct{}

func withOrigin(ctx context.Context, u *url.URL, header http.Header) context.Context {
	return context.WithValue(ctx, originKey{}, &origin{url: u, header: header})
}

func originOf(r *http.Request) *origin {
	o, _ := r.Context().Value(originKey{}).(*origin)
	return o
}

// same reports whether u is on the host and port of the origin, and no less
// protected.
func (o *origin) same(u *url.URL) bool {
	return strings.EqualFold(u.Hostname(), o.url.Hostname()) && port(u) == port(o.url) && u.Scheme == o.url.Scheme
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// redirect decides on a redirect. To another host go neither headers of the
// configuration nor bodies: both may be secret.
func (c *Client) redirect(next *http.Request, before []*http.Request) error {
	if c.config.MaxRedirects == 0 {
		return http.ErrUseLastResponse
	}
	if len(before) > c.config.MaxRedirects {
		return &rowError{fmt.Errorf("more than %d redirects", c.config.MaxRedirects)}
	}
	if next.URL.Scheme != "http" && next.URL.Scheme != "https" {
		return &rowError{errors.New("a redirect to " + next.URL.Scheme + "://")}
	}
	next.Header.Del("Referer") // the URL before may have secrets in its query
	o := originOf(next)
	if o.same(next.URL) && !o.left {
		return nil
	}
	o.left = true
	if next.Body != nil && next.Body != http.NoBody || next.GetBody != nil {
		return &rowError{fmt.Errorf("a redirect of a %s to another host, %s, which is not followed", next.Method, next.URL.Host)}
	}
	for name := range next.Header {
		switch name {
		case "Accept", "Accept-Language", "User-Agent":
		default:
			next.Header.Del(name)
		}
	}
	return nil
}

// stayAtHome decides on a redirect of a request for a token, whose body may have
// the secret: it goes to no other host.
func stayAtHome(next *http.Request, before []*http.Request) error {
	if o := (&origin{url: before[0].URL}); !o.same(next.URL) {
		return &rowError{fmt.Errorf("a redirect of a request for a token to another host, %s, which is not followed", next.URL.Host)}
	}
	if len(before) > 10 {
		return &rowError{errors.New("more than 10 redirects")}
	}
	return nil
}

// signer adds the credentials to requests that go to their origin.
type signer struct {
	auth *Auth
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	o := originOf(r)
	if s.auth == nil || o.left || !o.same(r.URL) {
		return s.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	for name, values := range o.header {
		r.Header[name] = values
	}
	switch a := s.auth; {
	case a.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+string(a.Bearer))
	case a.Basic != nil:
		r.SetBasicAuth(a.Basic.User, string(a.Basic.Password))
	case a.APIKey != nil && a.APIKey.In == "header":
		r.Header.Set(a.APIKey.Name, string(a.APIKey.Value))
	case a.APIKey != nil:
		pair := url.QueryEscape(a.APIKey.Name) + "=" + url.QueryEscape(string(a.APIKey.Value))
		if r.URL.RawQuery != "" {
			pair = r.URL.RawQuery + "&" + pair
		}
		r.URL.RawQuery = pair
	}
	return s.next.RoundTrip(r)
}
