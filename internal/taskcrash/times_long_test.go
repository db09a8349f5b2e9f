//go:build long

package taskcrash

import "time"

// How often a process is killed at a random moment, within what time, and with what.
const (
	kills      = 50
	killWithin = 20 * time.Second
)

var many = script{15, 96_000} // a million tasks
