package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy/plumber"
)

// Load reads proxy.yaml. vars are the values of -v name=value, which win over the
// environment. The problems are all that the file itself shows; the File is
// usable unless one of them is an error.
func Load(path string, vars map[string]string) (*File, configs.Problems) {
	data, err := os.ReadFile(path)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = "to serve one API without a file: rpipe proxy plumber.R"
		}
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, configs.Problems{{File: path, Message: "cannot be read: " + err.Error(), Hint: hint}}
	}
	f := &File{Path: path, vars: vars}
	doc, problems := configs.Load(path, data, configs.Variables{Flags: vars, Env: os.LookupEnv}, f)
	if doc == nil {
		return nil, problems
	}
	f.doc = doc
	f.complete()
	return f, append(problems, f.missing()...)
}

// Is reports whether the file at path is one of the proxy's, not a pipeline.
func Is(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && topLevel.Match(data)
}

// topLevel is a key that only the proxy's files have.
var topLevel = regexp.MustCompile(`(?m)^(apis|"apis"|listen)[ \t]*:`)

// Check finds every problem of a proxy.yaml that can be seen without starting R:
// those of Load, and of the pipelines that it names.
func Check(ctx context.Context, path string, vars map[string]string) (*File, configs.Problems) {
	f, problems := Load(path, vars)
	if f == nil || len(problems.Errors()) > 0 {
		return f, problems
	}
	problems = append(problems, f.CheckPipelines(ctx)...)
	for _, b := range f.Pipelines {
		p, found := pipeline.Check(ctx, below(f.Dir(), b.File), b.Values)
		problems = append(problems, found...)
		if p != nil {
			problems = append(problems, p.Unshared()...)
		}
	}
	return f, problems
}

// Single is the file of one API, for rpipe proxy plumber.R: path is an R file, or
// a directory with plumber.R or entrypoint.R.
func Single(path string, dress func(*File)) (*File, configs.Problems) {
	f := &File{Path: "."}
	configs.SetDefaults(f)
	a := API{}
	configs.SetDefaults(&a)
	a.Plumber = new(plumber.Config)
	configs.SetDefaults(a.Plumber)
	f.single = path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		a.Plumber.Dir = path
	} else {
		a.Plumber.File = path
	}
	f.APIs = []API{a}
	f.complete()
	dress(f)
	return f, f.missing()
}

// complete gives APIs their names, and fills in the pool that nobody described.
func (f *File) complete() {
	if f.Pools == nil {
		f.Pools = map[string]Pool{}
	}
	if _, ok := f.Pools["default"]; !ok {
		var p Pool
		configs.SetDefaults(&p)
		f.Pools["default"] = p
	}
	for i := range f.APIs {
		f.APIs[i].Name = f.APIs[i].label()
	}
}

// named are the values of -v that a pipeline file has variables for: the others
// are of this file, or of other pipelines.
func (f *File) named(file string) map[string]string {
	if file == "" {
		return nil
	}
	data, err := os.ReadFile(below(f.Dir(), file))
	if err != nil {
		return nil // who loads it says so
	}
	its := map[string]string{}
	for name, value := range f.vars {
		if strings.Contains(string(data), "${"+name+"}") || strings.Contains(string(data), "${"+name+":") {
			its[name] = value
		}
	}
	return its
}

// Dir is the directory that relative paths start from.
func (f *File) Dir() string {
	dir := filepath.Dir(f.Path)
	if f.single != "" {
		dir = "."
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// reread is the file as it stands now; one that was made from a command line is
// as it was.
func (s *Server) reread(f *File) (*File, error) {
	if f.single != "" {
		return f, nil
	}
	again, problems := Load(f.Path, f.vars)
	if errs := problems.Errors(); len(errs) > 0 {
		return nil, fmt.Errorf("%s is left as it was loaded before: %w", f.Path, errs)
	}
	return again, nil
}

// Part is the apis and pools of another configuration file, which has them by these names
// at its top: rpipe.yaml. doc, which may be nil, is for the places of what is wrong.
func Part(path string, vars map[string]string, doc *configs.Document, apis []API, pools map[string]Pool) *File {
	f := &File{Path: path, vars: vars, doc: doc, APIs: apis, Pools: pools}
	f.complete()
	return f
}

// CheckPipelines finds what is wrong with the pipelines that APIs answer by.
func (f *File) CheckPipelines(ctx context.Context) (problems configs.Problems) {
	for i := range f.APIs {
		for k, e := range f.APIs[i].Predict {
			if e.Pipeline == "" {
				continue
			}
			p, found := pipeline.Check(ctx, below(f.Dir(), e.Pipeline), f.named(e.Pipeline))
			if p != nil && len(found.Errors()) == 0 {
				found = append(found, p.CheckService()...)
			}
			if len(found.Errors()) > 0 {
				problems = append(problems, f.doc.Problem(fmt.Sprintf("apis[%d].predict[%d].pipeline", i, k), "cannot be served as it is: see below", ""))
			}
			problems = append(problems, found...)
		}
	}
	return problems
}

// Missing are the files that a Part names and that are not there.
func (f *File) Missing() configs.Problems { return f.missing() }
