package plumber

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// static serves a file of @assets as PlumberStatic does. It returns false, with
// nothing written, for whatever is not a plain file below the directory: plumber
// knows how to answer that.
func (a *API) static(w http.ResponseWriter, r *http.Request, m match) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !filepath.IsAbs(m.dir) {
		return false
	}
	name := m.file
	if name == "/" {
		name = "/index.html"
	}
	name, err := url.PathUnescape(name)
	if err != nil || !utf8.ValidString(name) || strings.ContainsAny(name, "\x00\\") || strings.HasSuffix(name, "/") {
		return false
	}
	path, err := filepath.EvalSymlinks(m.dir + filepath.FromSlash(name))
	if err != nil {
		return false
	}
	root, err := filepath.EvalSymlinks(m.dir)
	if err != nil || !strings.HasPrefix(path, root+string(filepath.Separator)) {
		return false
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	h := w.Header()
	h["Content-Type"] = []string{a.about.typeOf(path)}
	h["Content-Length"] = []string{strconv.FormatInt(info.Size(), 10)}
	h["Last-Modified"] = []string{info.ModTime().UTC().Format(http.TimeFormat)}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		io.CopyN(w, f, info.Size()) // who reads it has gone, if this fails
	}
	return true
}

// extension is that of tools::file_ext().
var extension = regexp.MustCompile(`\.([\pL\pN]+)$`)

// typeOf is the content type that plumber gives to a file.
func (a *about) typeOf(path string) string {
	if m := extension.FindStringSubmatch(path); m != nil {
		if t := a.Types[strings.ToLower(m[1])]; t != "" {
			return t
		}
	}
	return "application/octet-stream"
}
