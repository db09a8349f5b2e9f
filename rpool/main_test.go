package rpool

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be the guard process too.
func TestMain(m *testing.M) {
	GuardMain()
	goleak.VerifyTestMain(m)
}
