package sinks

import "os"

// removeLocked closes first: Windows does not remove an open file.
func removeLocked(f *os.File, path string) {
	f.Close()
	os.Remove(path)
}
