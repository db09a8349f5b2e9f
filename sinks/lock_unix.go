//go:build unix

package sinks

import "os"

// removeLocked unlinks first: whoever locks the file after we let go sees that
// it is not the one in the directory any more.
func removeLocked(f *os.File, path string) {
	os.Remove(path)
	f.Close()
}
