package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// license is what a module has been licensed under.
type license struct {
	module, version string
	spdx            string   // identifier of the first text; "" where it is none of the usual
	texts           []string // of LICENSE, NOTICE and their like
}

var licenseFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice|copyright)`)

// readLicenses reads the files of the modules in the cache. A module without any is an
// error: a release says under what each part of it comes.
func readLicenses(modules []*debug.Module) ([]license, error) {
	dirs, err := moduleDirs(modules)
	if err != nil {
		return nil, err
	}
	var all []license
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		l := license{module: m.Path, version: m.Version}
		entries, err := os.ReadDir(dirs[m.Path])
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", m.Path, err)
		}
		for _, e := range entries {
			if e.IsDir() || !licenseFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dirs[m.Path], e.Name()))
			if err != nil {
				return nil, fmt.Errorf("module %s: %w", m.Path, err)
			}
			if id := identify(string(text)); l.spdx == "" {
				l.spdx = id
			}
			l.texts = append(l.texts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
		}
		if len(l.texts) == 0 {
			return nil, fmt.Errorf("module %s %s has no license file in %s", m.Path, m.Version, dirs[m.Path])
		}
		all = append(all, l)
	}
	return all, nil
}

// moduleDirs asks go where the modules are.
func moduleDirs(modules []*debug.Module) (map[string]string, error) {
	dirs := make(map[string]string)
	if len(modules) == 0 {
		return dirs, nil
	}
	args := []string{"mod", "download", "-json"}
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version == "" {
			return nil, fmt.Errorf("module %s was taken from a directory: a release has none of those", m.Path)
		}
		args = append(args, m.Path+"@"+m.Version)
	}
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
}

// marks are sentences by which the usual licenses are known, the more special ones first.
var marks = []struct{ id, text string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MPL-2.0", "mozilla public license version 2.0"},
	{"MPL-2.0", "mozilla public license, version 2.0"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"ISC", "permission to use, copy, modify, and distribute this software for any purpose"},
	{"MIT-0", "mit no attribution"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD-3-Clause", "neither the name"},
	{"BSD-3-Clause", "names of its contributors"},
	{"BSD-2-Clause", "redistributions in binary form must reproduce"},
	{"Unlicense", "free and unencumbered software released into the public domain"},
	{"CC0-1.0", "cc0 1.0 universal"},
}

// identify is the SPDX identifier of a text, or "".
func identify(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, m := range marks {
		if strings.Contains(text, m.text) {
			return m.id
		}
	}
	return ""
}

// writeNotices writes each text once, below the modules that it is for.
func writeNotices(path string, licenses []license) error {
	of := make(map[string][]string)
	var order []string
	for _, l := range licenses {
		for _, text := range l.texts {
			if of[text] == nil {
				order = append(order, text)
			}
			if name := l.module + " " + l.version; !slices.Contains(of[text], name) {
				of[text] = append(of[text], name)
			}
		}
	}
	var b strings.Builder
	b.WriteString("What is linked into rpipe, and the licenses that it comes under.\n")
	for _, text := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 78), strings.Join(of[text], "\n"), text)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("notices: %w", err)
	}
	return nil
}
