package sources

import (
	"encoding/json"
	"fmt"
	"strings"
)

// position is where a reader of files stands: rows of the file at index File
// have been read, rows of all files before it too.
type position struct {
	File   int    `json:"file"`
	Path   string `json:"path,omitempty"` // to notice that the list of files changed
	Rows   int64  `json:"rows"`           // records read of that file
	Total  int64  `json:"total"`          // records read of all files
	Offset int64  `json:"offset,omitempty"`
	Line   int64  `json:"line,omitempty"` // lines before Offset; meaningful with Offset
}

func (p position) String() string {
	b, err := json.Marshal(p)
	if err != nil { // a struct of numbers and a string always encodes
		panic(err)
	}
	return string(b)
}

// parsePosition reads a position for a list of files.
func parsePosition(s string, files []file) (position, error) {
	var p position
	if s == "" {
		return p, nil
	}
	if err := decodePosition(s, &p); err != nil {
		return p, err
	}
	if p.File < 0 || p.File >= len(files) || p.Rows < 0 || p.Total < 0 || p.Offset < 0 {
		return p, fmt.Errorf("resume: position %q is outside of the input (%d files)", s, len(files))
	}
	if p.Path != "" && p.Path != files[p.File].name {
		return p, fmt.Errorf("resume: file %d of the input was %s and is now %s; the list of files has changed", p.File+1, p.Path, files[p.File].name)
	}
	return p, nil
}

// decodePosition reads the JSON of a position, and nothing else.
func decodePosition(s string, p any) error {
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return fmt.Errorf("resume: position %q is not one of this source: %w", s, err)
	}
	return nil
}
