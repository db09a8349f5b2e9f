package rpool

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Fingerprint identifies what a worker of e has loaded: 32 hexadecimal digits
// over every field and the content of Sources and Files. Environments with equal
// fingerprints share a template. A file that cannot be read counts by its name
// alone; launching the environment then says what is wrong with it.
func (e *Environment) Fingerprint() string {
	content := e.contents()
	// JSON keeps the boundaries between strings and sorts the keys of Options.
	all, err := json.Marshal(struct {
		Environment
		Content []string
	}{*e, content})
	if err != nil {
		panic("rpool: fingerprint: " + err.Error()) // strings, numbers and one map of strings cannot fail
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:16])
}

// contents are hashes of what the files have now: Sources, then Files.
func (e *Environment) contents() []string {
	files := e.files()
	hashes := make([]string, len(files))
	for i, path := range files {
		if e.Dir != "" && !filepath.IsAbs(path) {
			path = filepath.Join(e.Dir, path)
		}
		hashes[i] = hashFile(path)
	}
	return hashes
}

func (e *Environment) files() []string { return slices.Concat(e.Sources, e.Files) }

func hashFile(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
