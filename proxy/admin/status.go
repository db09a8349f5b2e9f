package admin

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// The page is one document: its style and script stand in it, and nothing else is
// loaded but the JSON of this same path.
var (
	//go:embed status.html
	pageHTML string
	//go:embed status.css
	pageCSS string
	//go:embed status.js
	pageJS string

	whole = strings.NewReplacer("{{css}}", pageCSS, "{{js}}", pageJS).Replace(pageHTML)

	beforeState, behindState, _ = strings.Cut(whole, "{{state}}")
)

// policy is the page's Content-Security-Policy. Only this very script and style
// run: whatever a request's path or R's message holds, it is text.
var policy = "default-src 'none'; script-src " + hashSource(pageJS) + "; style-src " + hashSource(pageCSS) +
	"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// status shows the proxy: a page for people, JSON for programs and for the page.
func (a *Admin) status(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	state := a.look()
	if wantsJSON(r) {
		answer(w, r, http.StatusOK, state)
		return
	}
	// encoding/json escapes <, > and &, so that no text ends the element.
	text, err := json.Marshal(state)
	if err != nil {
		a.log.Error("the status cannot be shown", "error", err)
		answer(w, r, http.StatusInternalServerError, map[string]string{"error": "internal"})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	for _, part := range []string{beforeState, string(text), behindState} {
		if _, err := w.Write([]byte(part)); err != nil {
			return
		}
	}
}

// wantsJSON reports whether a program asks: browsers say that they take HTML.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	return !strings.Contains(r.Header.Get("Accept"), "text/html")
}
