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
	return Given{Vars: vars}.Load(path)
}

// Given is what a run is given from outside of its file.
type Given struct {
	Text      []byte            // of the file, which is not read then
	Vars      map[string]string // each must be used; they win over More, which wins over the environment
	More      map[string]string // of several pipelines
	Run       string            // id; "" makes one
	Scheduled time.Time         // zero is now
	// Again says that the run is for its scheduled time: its rows take the place of
	// those that an earlier run for that time has written. With Alone they take that of
	// an earlier attempt of the run itself, and of no other's.
	Again, Alone bool
}

// Load reads a pipeline file, as the function Load does.
func (g Given) Load(path string) (*File, configs.Problems) {
	now := time.Now().UTC()
	if g.Run == "" {
		g.Run = newRunID(now)
	}
	scheduled := now.Format(time.RFC3339)
	if !g.Scheduled.IsZero() {
		scheduled = g.Scheduled.UTC().Format(time.RFC3339Nano)
	}
	return g.load(path, scheduled)
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
	g := Given{Vars: vars, Run: run}
	return g.load(path, scheduled)
}

func (g *Given) load(path, scheduled string) (*File, configs.Problems) {
	data, run, vars := g.Text, g.Run, g.Vars
	if data == nil {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, configs.Problems{unreadable(path, err)}
		}
	}
	f := &File{Path: path, RunID: run, Scheduled: scheduled, forTime: g.Again, alone: g.Alone, print: hash(string(data)), variables: map[string]string{}}
	for name, value := range vars {
		f.variables[name] = hash(run + name + value)
	}
	doc, problems := configs.Load(path, data, configs.Variables{
		Flags: vars,
		Env: func(name string) (string, bool) {
			value, ok := g.More[name]
			if !ok {
				value, ok = os.LookupEnv(name)
			}
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
