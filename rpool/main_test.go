package rpool

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be the guard process too, and the host of a pool
// that a test kills.
func TestMain(m *testing.M) {
	GuardMain()
	if os.Getenv(hostEnv) != "" {
		hostMain()
	}
	goleak.VerifyTestMain(m)
}
