//go:build unix

package node

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/rpool"
)

// TestMain lets the test binary be the guard of R processes too, and a worker that a test
// kills.
func TestMain(m *testing.M) {
	rpool.GuardMain()
	if os.Getenv(hostEnv) != "" {
		hostMain()
	}
	goleak.VerifyTestMain(m)
}
