package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// putValue stores a value that submissions then refer to.
func (s *Server) putValue(w http.ResponseWriter, r *http.Request, _ *who) error {
	body := bufio.NewReader(r.Body)
	head, err := body.Peek(6)
	if len(head) == 0 {
		if err != nil && err != io.EOF {
			return err
		}
		return invalidField("", "the body is empty: send what serialize() makes of a value")
	}
	switch {
	case strings.HasPrefix(r.Header.Get("Content-Type"), api.JSON):
		return invalidField("", "values are what R's serialize() makes: JSON stands in the submission itself")
	case mediaType(r) == api.R && !serialized(head):
		return invalidField("", "the body is not R's serialization, as serialize(x, NULL) and saveRDS() make it; text goes as "+api.Bytes)
	}
	ref, size, err := s.blobs.Put(r.Context(), body)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/values/"+ref)
	return writeJSON(w, http.StatusCreated, &api.Stored{Ref: ref, Size: size})
}

// serialized reports whether bytes begin like R's serialization, or a compressed one.
func serialized(head []byte) bool {
	for _, magic := range []string{"X\n", "B\n", "A\n", "\x1f\x8b", "BZh", "\xfd7zXZ"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

var reference = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkRef says why ref is no reference to a value.
func checkRef(ref string) error {
	if reference.MatchString(ref) {
		return nil
	}
	return fmt.Errorf("%.80q is no reference: that is SHA-256 in 64 hex digits", ref)
}

func (s *Server) getValue(w http.ResponseWriter, r *http.Request, _ *who) error {
	ref := r.PathValue("ref")
	if err := checkRef(ref); err != nil {
		return invalidField("ref", err.Error())
	}
	value, size, err := s.blobs.Open(r.Context(), ref)
	if err != nil {
		return missing(err, "value", ref)
	}
	defer value.Close()
	h := w.Header()
	h.Set("Content-Type", api.R)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("ETag", `"`+ref+`"`)
	return copied(io.Copy(w, value))
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	f, unit := float64(n), 0
	for f >= 1024 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	return strconv.FormatFloat(f, 'f', -1, 64) + " " + units[unit]
}
