package pipeline

import (
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
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, configs.Problems{unreadable(path, err)}
	}
	now := time.Now().UTC()
	f := &File{Path: path, RunID: newRunID(now)}
	doc, problems := configs.Load(path, data, configs.Variables{
		Flags: vars, Env: os.LookupEnv,
		Run: map[string]string{"run.id": f.RunID, "run.scheduled_time": now.Format(time.RFC3339)},
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
	count := map[string]int{}
	names := make([]string, len(f.Stages))
	for i, s := range f.Stages {
		names[i] = s.Name
		if names[i] == "" && s.Use != nil {
			names[i] = Transforms.NameOf(s.Use)
		}
		count[names[i]]++
	}
	seen := map[string]int{}
	f.Labels = make([]string, len(names))
	for i, n := range names {
		f.Labels[i] = n
		if count[n] > 1 {
			seen[n]++
			f.Labels[i] = n + "-" + strconv.Itoa(seen[n])
		}
	}
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
