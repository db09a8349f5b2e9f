//go:build !linux

package index

import (
	"crypto/rand"
)

// bootID changes when the system starts. Where it cannot be told it changes always, so
// that a file that was not closed is made anew.
func bootID() string { return rand.Text() }
