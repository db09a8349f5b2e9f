//go:build !cgo

package stages

import (
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
)

// A build without cgo says at the check what it cannot do, whether or not the
// schema is known.
func TestSQLWithoutCgo(t *testing.T) {
	f := func(tr Transform) {
		t.Helper()
		if _, err := tr.Plan(nil); err == nil || !strings.Contains(err.Error(), "built without cgo") {
			t.Errorf("%T: plan: %v", tr, err)
		}
		env := (&Env{}).For("sql")
		defer env.Close()
		if _, err := tr.Build(env); err == nil || !strings.Contains(err.Error(), "built without cgo") {
			t.Errorf("%T: build: %v", tr, err)
		}
	}
	f(&Filter{Where: "x > 1"})
	f(&Derive{})
	f(&Aggregate{Measures: configs.Pairs{{Name: "n", Value: "count(*)"}}})
}
