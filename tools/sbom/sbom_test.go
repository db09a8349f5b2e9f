package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func buildInfo() *debug.BuildInfo {
	return &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "example.org/program", Version: "v1.0.0"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.2.3", Sum: "h1:abc="},
			{Path: "example.org/b", Version: "v0.1.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v0.2.0+x"}},
		},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "-trimpath", Value: "true"}},
	}
}

func TestBill(t *testing.T) {
	b := newBill(buildInfo(), time.Unix(1e9, 0), []license{{module: "example.org/a", spdx: "MIT"}})
	if err := b.add("pkg:github/duckdb/duckdb@v1.5.0"); err != nil {
		t.Fatal(err)
	}
	if err := b.add("duckdb"); err == nil {
		t.Error("a purl without type and version was taken")
	}
	got, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"bomFormat":"CycloneDX","specVersion":"1.6"`,
		`"timestamp":"2001-09-09T01:46:40Z"`,
		`"purl":"pkg:golang/example.org/program@v1.0.0","properties":[{"name":"go:GOOS","value":"linux"}]`,
		`"purl":"pkg:golang/std@1.26.8"`,
		`"name":"example.org/a","version":"v1.2.3","licenses":[{"license":{"id":"MIT"}}]`,
		`{"name":"go:sum","value":"h1:abc="}`,
		`"purl":"pkg:golang/example.org/fork@v0.2.0+x"`,
		`"name":"duckdb","version":"v1.5.0"`,
		`"dependsOn":["pkg:golang/std@1.26.8","pkg:golang/example.org/a@v1.2.3","pkg:golang/example.org/fork@v0.2.0+x","pkg:github/duckdb/duckdb@v1.5.0"]`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the bill lacks %s:\n%s", want, got)
		}
	}
}

func TestIdentify(t *testing.T) {
	root, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(root): "MIT",
		"Apache License\n   Version 2.0, January 2004":                         "Apache-2.0",
		"Redistributions in binary form must reproduce …\nNeither the name of": "BSD-3-Clause",
		"Redistributions in binary form must reproduce …":                      "BSD-2-Clause",
		"All rights reserved.": "",
	} {
		if got := identify(text); got != want {
			t.Errorf("identify(%.30q) = %q, want %q", text, got, want)
		}
	}
}

// TestNotices: a text that two modules share stands there once.
func TestNotices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "NOTICES")
	same := "Permission is hereby granted"
	err := writeNotices(path, []license{{module: "a", version: "v1", texts: []string{same}}, {module: "b", version: "v2", texts: []string{same, "more"}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(got), same) != 1 || !strings.Contains(string(got), "a v1\nb v2\n\n"+same) || !strings.Contains(string(got), "b v2\n\nmore") {
		t.Errorf("notices:\n%s", got)
	}
}

func TestSourceTime(t *testing.T) {
	if _, err := sourceTime("yesterday"); err == nil {
		t.Error("SOURCE_DATE_EPOCH=yesterday was taken")
	}
	if at, err := sourceTime(""); err != nil || !at.IsZero() {
		t.Errorf("no time: %v, %v", at, err)
	}
}
