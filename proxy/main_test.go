package proxy

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/rpool"
)

func TestMain(m *testing.M) {
	rpool.GuardMain() // the pool's guard is this binary again
	serveUntilKilled()
	goleak.VerifyTestMain(m)
}
