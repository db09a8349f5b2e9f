//go:build unix

package rpool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scriptR is a script that says what R --version would.
func scriptR(t *testing.T, name, says string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindR(t *testing.T) {
	bin, version, err := FindR("")
	if err != nil || older(version, OldestR) {
		t.Fatalf("the R of this machine: %q %q %v", bin, version, err)
	}
	four := scriptR(t, "R", `R version 4.4.1 (2024-06-14) -- "Race for Your Life"`)
	if bin, version, err := FindR(filepath.Join(filepath.Dir(four), "Rscript")); bin != four || version != "4.4.1" || err != nil {
		t.Errorf("beside Rscript: %q %q %v", bin, version, err)
	}
	t.Setenv("RPIPE_R", scriptR(t, "R", `R Under development (unstable) (2026-01-01 r89000) -- 4.6.0`))
	if _, version, err := FindR(""); version != "4.6.0" || err != nil {
		t.Errorf("RPIPE_R: %q %v", version, err)
	}

	f := func(path string, says ...string) {
		t.Helper()
		_, _, err := FindR(path)
		var s *StartError
		if !errors.As(err, &s) || s.Step != "find R" {
			t.Fatalf("%s: %v", path, err)
		}
		for _, want := range says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
	}
	f(scriptR(t, "R", `R version 3.5.3 (2019-03-11) -- "Great Truth"`), "it is R 3.5.3, and R 3.6.0 or later is needed")
	f(scriptR(t, "R", `something else`), `says "something else", which is not R`)
	f(filepath.Join(t.TempDir(), "R"), "the R that the configuration names", "no such file")
	t.Setenv("RPIPE_R", "/nowhere/R")
	f("", "the R that RPIPE_R names", "/nowhere/R")
	t.Setenv("RPIPE_R", "")
	t.Setenv("R_HOME", "")
	t.Setenv("PATH", t.TempDir())
	f("", "no R in RPIPE_R, R_HOME or the PATH", "install R")
}

func TestProbe(t *testing.T) {
	info, err := Probe(t.Context(), &Environment{Packages: []string{"stats", "no.such.package"}, Setup: "stop('not run')"})
	if err != nil {
		t.Fatal(err)
	}
	if info.Version == "" || info.Packages["stats"] != info.Version || info.Packages["no.such.package"] != "" {
		t.Errorf("%+v", info)
	}
	if info.Platform == "" || len(info.LibPaths) == 0 || info.R == "" || !info.Forks && info.WhyNot == "" {
		t.Errorf("%+v", info)
	}
}
