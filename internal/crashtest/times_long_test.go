//go:build long

package crashtest

// times is how often each trial is made.
const times = 20
