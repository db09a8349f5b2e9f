package predict

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
	goleak.VerifyTestMain(tests{m})
}

// tests are all tests, and the end of their pool.
type tests struct{ *testing.M }

func (t tests) Run() int {
	code := t.M.Run()
	if one.pool == nil {
		return code
	}
	if err := one.pool.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
