//go:build !long

package taskcrash

import "time"

// How often a process is killed at a random moment, within what time, and with what.
const (
	kills      = 3
	killWithin = time.Second / 2
)

var many = script{6, 450}
