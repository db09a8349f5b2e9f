package plumber

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/rpool"
)

func TestMain(m *testing.M) {
	rpool.GuardMain() // the pool's guard is this binary again
	if len(os.Args) > 1 && os.Args[1] == "__guard" {
		return
	}
	goleak.VerifyTestMain(m)
}
