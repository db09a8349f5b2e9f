package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
)

// missing are files that the configuration names and which are not there.
func (f *File) missing() configs.Problems {
	var ps configs.Problems
	for i := range f.APIs {
		a := &f.APIs[i]
		at := fmt.Sprintf("apis[%d].", i)
		if p := a.Plumber; p != nil {
			if f.single != "" {
				ps = append(ps, f.absent("", f.single, wantPlumber)...)
			} else if p.File != "" {
				ps = append(ps, f.absent(at+"plumber.file", filepath.Join(a.dir(f.Dir()), filepath.Base(p.File)), wantFile)...)
			} else {
				ps = append(ps, f.absent(at+"plumber", a.dir(f.Dir()), wantPlumber)...)
			}
		}
		if h := a.HTTPUV; h != nil && h.File != "" {
			ps = append(ps, f.absent(at+"httpuv.file", filepath.Join(a.dir(f.Dir()), filepath.Base(h.File)), wantFile)...)
		}
		if h := a.HTTPUV; h != nil && h.Dir != "" {
			ps = append(ps, f.absent(at+"httpuv.dir", a.dir(f.Dir()), wantDir)...)
		}
		for k, source := range a.R.Source {
			ps = append(ps, f.absent(fmt.Sprintf("%sr.source[%d]", at, k), below(a.dir(f.Dir()), source), wantFile)...)
		}
		for k, e := range a.Predict {
			if e.Pipeline != "" {
				ps = append(ps, f.absent(fmt.Sprintf("%spredict[%d].pipeline", at, k), below(f.Dir(), e.Pipeline), wantFile)...)
			}
		}
	}
	for i, b := range f.Pipelines {
		ps = append(ps, f.absent(fmt.Sprintf("pipelines[%d].file", i), below(f.Dir(), b.File), wantFile)...)
	}
	return ps
}

type want int

const (
	wantFile want = iota
	wantDir
	wantPlumber // a file, or a directory with one that plumber knows
)

// absent is the problem with a path that is not as wanted; none where it is.
func (f *File) absent(field, path string, w want) configs.Problems {
	info, err := os.Stat(path)
	message := ""
	switch {
	case err != nil:
		message = shown(path) + ": no such file"
	case w == wantFile && info.IsDir():
		message = shown(path) + " is a directory"
	case w == wantDir && !info.IsDir():
		message = shown(path) + " is no directory"
	case w == wantPlumber && info.IsDir() && !exists(filepath.Join(path, "plumber.R")) && !exists(filepath.Join(path, "entrypoint.R")):
		message = shown(path) + " has neither plumber.R nor entrypoint.R"
	default:
		return nil
	}
	hint := ""
	dir := path
	if info == nil || !info.IsDir() {
		dir = filepath.Dir(path)
	}
	if near, _ := filepath.Glob(filepath.Join(dir, "*.[rR]")); len(near) > 0 {
		for i := range near {
			near[i] = shown(near[i])
		}
		hint = "there is " + strings.Join(near[:min(len(near), 5)], ", ")
	}
	if f.doc == nil {
		return configs.Problems{{Message: message, Hint: hint}}
	}
	return configs.Problems{f.doc.Problem(field, message, hint)}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// shown is path as a user would write it.
func shown(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

// below is path seen from dir.
func below(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
