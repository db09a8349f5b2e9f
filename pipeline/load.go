package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// Load reads a pipeline file for one run. vars are the values of -v name=value,
// which win over the environment; ${run.id} and ${run.scheduled_time} are the
// run's. The problems are all that the file itself shows; the File is usable
// unless one of them is an error.
func Load(path string, vars map[string]string) (*File, configs.Problems) {
	now := time.Now().UTC()
	return load(path, vars, newRunID(now), now.Format(time.RFC3339))
}

// LoadToResume is Load for the run of the pipeline that did not finish, where
// there is one, and for a new one where not.
func LoadToResume(ctx context.Context, path string, vars map[string]string) (*File, configs.Problems, error) {
	f, problems := Load(path, vars)
	if f == nil || len(problems.Errors()) > 0 {
		return f, problems, nil
	}
	state, err := f.State()
	if err != nil {
		return f, problems, &ConfigError{File: f.Path, At: f.doc.Place("state"), Path: "state", Err: err}
	}
	j, err := state.Journal(ctx)
	if err != nil {
		return f, problems, &EnvironmentError{Err: err}
	}
	if j == nil {
		return f, problems, nil
	}
	f, problems = load(path, vars, j.Run, j.Scheduled) // what depends on the run's id is as it was
	if f != nil {
		f.resumes = j
	}
	return f, problems, nil
}

func load(path string, vars map[string]string, run, scheduled string) (*File, configs.Problems) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, configs.Problems{unreadable(path, err)}
	}
	f := &File{Path: path, RunID: run, Scheduled: scheduled, print: hash(string(data)), variables: map[string]string{}}
	for name, value := range vars {
		f.variables[name] = hash(run + name + value)
	}
	doc, problems := configs.Load(path, data, configs.Variables{
		Flags: vars,
		Env: func(name string) (string, bool) {
			value, ok := os.LookupEnv(name)
			if _, flag := vars[name]; ok && !flag {
				f.variables[name] = hash(run + name + value)
			}
			return value, ok
		},
		Run: map[string]string{"run.id": run, "run.scheduled_time": scheduled},
	}, f)
	if doc == nil {
		return nil, problems
	}
	f.doc = doc
	if f.Name == "" {
		base := filepath.Base(path)
		f.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	f.label()
	return f, problems
}

// label names the stages: as the user did, or by their component, numbered
// where it stands more than once.
func (f *File) label() {
	all := f.all()
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
		if names[i] == "" && s.Use != nil {
			names[i] = Transforms.NameOf(s.Use)
		}
	}
	f.Labels = numbered(names)
}

// numbered makes names that stand more than once different.
func numbered(names []string) []string {
	count := map[string]int{}
	for _, n := range names {
		count[n]++
	}
	seen := map[string]int{}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n
		if count[n] > 1 {
			seen[n]++
			out[i] = n + "-" + strconv.Itoa(seen[n])
		}
	}
	return out
}

func unreadable(path string, err error) configs.Problem {
	p := configs.Problem{File: path, Message: err.Error()}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		p.Message = "cannot be read: " + pe.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		p.Message = "no such file"
		p.Hint = "rpipe new makes a pipeline to start from"
		if near, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.y*ml")); len(near) > 0 {
			p.Hint = fmt.Sprintf("this directory has %s", strings.Join(near, ", "))
		}
	}
	return p
}
