//go:build !cgo

package tables

import (
	"strings"
	"testing"
)

// A build without cgo joins, and says that it cannot answer queries.
func TestWithoutCgo(t *testing.T) {
	c := &SQL{Query: "FROM input"}
	if _, err := c.PlanWith(t.Context(), testEnv(t, ""), trips.Schema()); err == nil || !strings.Contains(err.Error(), "built without cgo") {
		t.Errorf("plan: %v", err)
	}
	if _, err := c.Build(testEnv(t, "")); err == nil || !strings.Contains(err.Error(), "built without cgo") {
		t.Errorf("build: %v", err)
	}
}
