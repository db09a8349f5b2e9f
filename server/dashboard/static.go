package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
)

//go:embed static
var staticFiles embed.FS

// Icon is the picture of rpipe, in SVG, for the pages beside these.
//
//go:embed static/icon.svg
var Icon []byte

// staticTypes are the files of static by their media types.
var staticTypes = map[string]string{
	"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "live.js": "text/javascript; charset=utf-8",
	"icon.svg": "image/svg+xml",
}

// staticVersion tells browsers whether they have the files of this rpipe.
var staticVersion = func() string {
	sum := sha256.New()
	for _, name := range []string{"app.css", "app.js", "live.js", "icon.svg"} {
		text, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			panic(err) // it is in the binary
		}
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}()

// static answers with a file, which browsers keep: its address has the version.
func static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		text, err := staticFiles.ReadFile("static/" + name)
		if err != nil || staticTypes[name] == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", staticTypes[name])
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		if r.URL.Query().Get("v") == staticVersion {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		w.Write(text)
	})
}
