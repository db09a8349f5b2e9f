package pipelines

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/rpool"
)

func TestMain(m *testing.M) {
	rpool.GuardMain() // the pool's guard is this binary again
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
