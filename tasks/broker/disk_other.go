//go:build !unix

package broker

// free is how many bytes the file system of dir has left; ok is false where it does not
// say.
func free(string) (bytes int64, ok bool) { return 0, false }
