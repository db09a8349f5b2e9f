package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
)

// Check finds every problem of a pipeline file that can be seen without running
// it: what the file says, the R files it names, the input's first bytes, and
// the columns and expressions of each stage. It changes nothing.
func Check(ctx context.Context, path string, vars map[string]string) (*File, configs.Problems) {
	f, problems := Load(path, vars)
	if f == nil || len(problems.Errors()) > 0 {
		return f, problems
	}
	_, found := f.Plan(ctx)
	return f, append(problems, found...)
}

// missingScripts are the R files that cannot be read.
func (f *File) missingScripts() configs.Problems {
	var ps configs.Problems
	for i, s := range f.R.Source {
		path := f.resolve(s)
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			continue
		}
		message, hint := s+": no such file", ""
		if err == nil {
			message = s + " is a directory"
		}
		if near, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.[rR]")); len(near) > 0 {
			for i := range near {
				near[i] = filepath.Base(near[i])
			}
			hint = "there is " + strings.Join(near, ", ")
		} else {
			hint = "paths are relative to the pipeline file: " + f.Dir()
		}
		ps = append(ps, f.doc.Problem(fmt.Sprintf("r.source[%d]", i), message, hint))
	}
	return ps
}
