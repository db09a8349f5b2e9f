package webapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Class says what an error means for what comes next.
type Class int

const (
	// Temporary: a later try may fare better. All tries that were allowed have failed.
	Temporary Class = iota
	// Row: this request is at fault or its answer is; others may do well.
	Row
	// Fatal: no request will do, as when credentials or certificates are wrong.
	Fatal
)

func (c Class) String() string { return [...]string{"temporary", "row", "fatal"}[c] }

// Error is a request that failed.
type Error struct {
	Method string
	URL    string // without secrets
	Status int    // 0 where there was no answer
	Tries  int    // how often it was sent
	Class  Class
	Err    error // the cause; nil where Status says it all

	excerpt string // the first bytes of the answer
	unsent  bool   // it cannot have reached the server
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Method, e.URL)
	if e.Status != 0 {
		fmt.Fprintf(&b, "%d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Err != nil {
		if e.Status != 0 {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if e.Tries > 1 {
		fmt.Fprintf(&b, " after %d tries", e.Tries)
	}
	if e.excerpt != "" {
		fmt.Fprintf(&b, ": %s", e.excerpt)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// excerptBytes is how much of an answer an error quotes.
const excerptBytes = 200

// excerpt is the beginning of an answer, on one line.
func excerpt(body []byte) string {
	cut := len(body) > excerptBytes
	if cut {
		body = body[:excerptBytes]
		for len(body) > 0 && !utf8.RuneStart(body[len(body)-1]) {
			body = body[:len(body)-1]
		}
		if r, n := utf8.DecodeLastRune(body); r == utf8.RuneError && n == 1 {
			body = body[:len(body)-1]
		}
	}
	if bytes.IndexByte(body, 0) >= 0 {
		return "(binary)"
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "\ufffd")), " ")
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, text)
	if cut {
		text += "…"
	}
	return text
}

// cause takes the URL off an error of net/http, which may have secrets, and
// classifies it.
func cause(err error) (Class, error) {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	var (
		verify    *tls.CertificateVerificationError
		unknown   x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		plaintext tls.RecordHeaderError
		row       *rowError
	)
	switch {
	case errors.As(err, &row):
		return Row, row.err
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid):
		return Fatal, fmt.Errorf("%w; name its authority in tls: {ca_file: …}", err)
	case errors.As(err, &plaintext):
		return Fatal, errors.New("the server does not speak TLS here; is the URL to begin with http://?")
	case errors.Is(err, context.DeadlineExceeded):
		return Temporary, errors.New("timed out")
	}
	return Temporary, err
}

// rowError is a failure that another try would repeat.
type rowError struct{ err error }

func (e *rowError) Error() string { return e.err.Error() }

// secretWords are parts of the names of query parameters whose values are not told.
var secretWords = []string{"key", "token", "secret", "pass", "pwd", "sig", "auth", "cred", "code", "session"}

// Redact is a URL without the password and the values of parameters that look
// like credentials.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		before, _, _ := strings.Cut(raw, "?")
		if _, after, ok := strings.Cut(before, "@"); ok {
			before = "…@" + after
		}
		return before
	}
	u.User = nil
	if u.RawQuery == "" {
		return u.String()
	}
	parts := strings.Split(u.RawQuery, "&")
	for i, p := range parts {
		name, _, has := strings.Cut(p, "=")
		lower := strings.ToLower(name)
		for _, w := range secretWords {
			if has && strings.Contains(lower, w) {
				parts[i] = name + "=***"
			}
		}
	}
	u.RawQuery = strings.Join(parts, "&")
	return u.String()
}
