package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/rpipe-dev/rpipe/internal/tempdir"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// envsKept is how many versions of environments are remembered.
const envsKept = 32

// envCache are the environments of the tasks here. A new version is another environment
// of the pool: it comes up beside the old one, whose tasks go on.
type envCache struct {
	n    *Node
	mu   sync.Mutex
	docs map[string]known // by subject of their records
	envs map[string]*env  // by dirName
	ages []string         // of envs, the oldest first
	turn int              // counts refreshes
	dir  string           // of sources
	temp *tempdir.Dir     // dir, where R runs as another user
}

// open makes the directory of sources: where R runs as another user, one that it may
// look into, which a cache of values is not.
func (c *envCache) open() (err error) {
	if c.n.o.Base.User == "" {
		c.dir = c.n.scratch("env")
		return nil
	}
	if c.temp, err = tempdir.New("rpipe-env-"); err != nil {
		return err
	}
	c.dir = c.temp.Path
	return os.Chmod(c.dir, 0o711) // the names in it are not to be listed
}

// known is what a record said last.
type known struct {
	seq uint64
	doc *tasks.Environment
}

type env struct {
	mu    sync.Mutex
	ready *rpool.Environment
}

func envKey(name string, version int) string { return name + "@" + strconv.Itoa(version) }

// dirName tells a version from all others, also from one of the same name and number that
// was made before, and deleted.
func dirName(doc *tasks.Environment) string {
	return doc.Name + "-" + strconv.Itoa(doc.Version) + "-" + strconv.FormatInt(doc.Created.UnixMilli(), 36)
}

// learn is an environment by its record; nil where there is none.
func (c *envCache) learn(r broker.Record) *tasks.Environment {
	if r.Seq == 0 || len(r.Data) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.docs[r.Subject]; ok && last.seq == r.Seq {
		return last.doc
	}
	doc := new(tasks.Environment)
	if err := json.Unmarshal(r.Data, doc); err != nil {
		c.n.log.Error("the record of an environment cannot be read", "record", r.Subject, "error", err)
		return nil
	}
	if c.docs == nil {
		c.docs = make(map[string]known)
	}
	c.docs[r.Subject] = known{r.Seq, doc}
	c.n.note("ENVIR", envKey(doc.Name, doc.Version))
	return doc
}

// refresh forgets all, so that files are read anew.
func (c *envCache) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.envs, c.ages, c.docs = nil, nil, nil
	c.turn++
}

func (c *envCache) close() {
	c.refresh()
	switch {
	case c.temp != nil:
		_ = c.temp.Close()
	case c.dir != "":
		_ = os.RemoveAll(c.dir)
	}
}

// get is an environment for the pool, with its sources as files.
func (c *envCache) get(ctx context.Context, doc *tasks.Environment) (*rpool.Environment, error) {
	key := dirName(doc)
	c.mu.Lock()
	e := c.envs[key]
	if e == nil {
		if c.envs == nil {
			c.envs = make(map[string]*env)
		}
		if len(c.ages) >= envsKept {
			delete(c.envs, c.ages[0])
			c.ages = c.ages[1:]
		}
		e = &env{}
		c.envs[key] = e
		c.ages = append(c.ages, key)
	}
	turn := c.turn
	c.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ready != nil {
		return e.ready, nil
	}
	var err error
	if e.ready, err = c.n.materialise(ctx, doc, turn); err != nil {
		return nil, fmt.Errorf("environment %s: %w", envKey(doc.Name, doc.Version), err)
	}
	return e.ready, nil
}

// materialise is the environment as the pool takes it.
func (n *Node) materialise(ctx context.Context, doc *tasks.Environment, turn int) (*rpool.Environment, error) {
	e := n.o.Base
	e.Packages = append(slices.Clone(e.Packages), doc.Packages...)
	e.Sources = slices.Clone(e.Sources)
	e.Env = slices.Clone(e.Env)
	if e.Setup != "" && doc.Setup != "" {
		e.Setup += "\n"
	}
	e.Setup += doc.Setup
	if len(doc.Options) > 0 {
		options := make(map[string]string, len(e.Options)+len(doc.Options))
		for k, v := range e.Options {
			options[k] = v
		}
		for k, v := range doc.Options {
			options[k] = v
		}
		e.Options = options
	}
	for k, v := range doc.Env {
		e.Env = append(e.Env, k+"="+v)
	}
	slices.Sort(e.Env[len(n.o.Base.Env):])
	if doc.Dir != "" {
		e.Dir = doc.Dir
	}
	if turn > 0 {
		e.Version = strconv.Itoa(turn)
	}
	for i, s := range doc.Sources {
		path := s.Path
		if s.Ref != "" {
			var err error
			if path, err = n.source(ctx, doc, i); err != nil {
				return nil, fmt.Errorf("source %s: %w", s.Name, err)
			}
		}
		e.Sources = append(e.Sources, path)
	}
	return &e, nil
}

// source writes source i of an environment to a file of its name, which R shows in
// messages.
func (n *Node) source(ctx context.Context, doc *tasks.Environment, i int) (string, error) {
	s := doc.Sources[i]
	name := filepath.Base(filepath.Clean("/" + s.Name))
	if name == "/" || name == "." {
		name = "source.R"
	}
	dir := filepath.Join(n.envs.dir, dirName(doc), strconv.Itoa(i+1))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fresh := filepath.Join(dir, ".new")
	err := n.patiently(ctx, func() error {
		r, _, err := n.s.Open(ctx, s.Ref)
		if err != nil {
			return err
		}
		defer r.Close()
		f, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name) // which an R may be reading, where it is there
	return path, os.Rename(fresh, path)
}
