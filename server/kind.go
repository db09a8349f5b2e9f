package server

import (
	"context"
	"os"
	"path/filepath"
	"regexp"

	"github.com/rpipe-dev/rpipe/configs"
)

// Is reports whether the file at path is one of rpipe serve: it is called rpipe.yaml, or
// has a key at its top that other files have not.
func Is(path string) bool {
	switch filepath.Base(path) {
	case "rpipe.yaml", "rpipe.yml":
		return true
	case "proxy.yaml", "proxy.yml":
		return false
	}
	data, err := os.ReadFile(path)
	return err == nil && topLevel.Match(data)
}

// topLevel is a key that only files of rpipe serve have.
var topLevel = regexp.MustCompile(`(?m)^["']?(workers|nats|durability|retention|max_store|schedules|startup|tokens|auth|audit|notify)["']?[ \t]*:`)

// Check finds every problem of an rpipe.yaml that can be seen without starting anything:
// those of Load, of the pipelines that its APIs answer by, and of what it runs by the clock.
func Check(ctx context.Context, path string, vars map[string]string) (*File, configs.Problems) {
	f, problems := Load(path, vars)
	if f == nil || len(problems.Errors()) > 0 {
		return f, problems
	}
	problems = append(problems, f.mounted().CheckPipelines(ctx)...)
	return f, append(problems, f.checkTimed(ctx)...)
}
