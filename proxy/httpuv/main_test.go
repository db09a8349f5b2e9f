//go:build unix

package httpuv

import (
	"fmt"
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
	goleak.VerifyTestMain(closing{m})
}

// closing runs the tests and closes the pool that they share.
type closing struct{ m *testing.M }

func (c closing) Run() int {
	code := c.m.Run()
	if err := common.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
