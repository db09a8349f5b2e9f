package main

import (
	"runtime/debug"
	"testing"
)

func TestVersionOf(t *testing.T) {
	of := func(module string) func() (*debug.BuildInfo, bool) {
		return func() (*debug.BuildInfo, bool) {
			return &debug.BuildInfo{Main: debug.Module{Version: module}}, module != "none"
		}
	}
	for _, c := range []struct{ release, module, want string }{
		{"v1.2.3", "v9.9.9", "v1.2.3"},
		{"", "v1.2.3", "v1.2.3"}, // go install …@v1.2.3
		{"", "(devel)", "devel"},
		{"", "", "devel"},
		{"", "none", "devel"},
	} {
		if got := versionOf(c.release, of(c.module)); got != c.want {
			t.Errorf("release %q of module %q is version %q, want %q", c.release, c.module, got, c.want)
		}
	}
}
