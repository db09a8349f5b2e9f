package admin

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/rpool"
)

// TestMain lets the test binary be the guard process too.
func TestMain(m *testing.M) {
	rpool.GuardMain()
	goleak.VerifyTestMain(m)
}
