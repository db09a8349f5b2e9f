// Package examples holds pipelines that run as they stand, with their R files
// and data. rpipe new copies the starter; tests run them all.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed starter
var starter embed.FS

// Starter is what rpipe new makes.
func Starter() fs.FS {
	files, err := fs.Sub(starter, "starter")
	if err != nil {
		panic(err) // the embedded directory is there, or nothing is built
	}
	return files
}
