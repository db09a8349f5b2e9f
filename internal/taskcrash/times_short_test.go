//go:build !long

package taskcrash

import "time"

// How often a process is killed at a random moment, within what time, and with what.
const (
	kills      = 3
	killWithin = 2 * time.Second
)

var many = script{6, 450}
