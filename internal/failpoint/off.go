//go:build !failpoint

package failpoint

// Hit is a place where a crash test may kill the process.
func Hit(string) {}
