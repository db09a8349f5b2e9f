package server

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// environmentOf is an environment as it is shown. Its variables may be secrets: others
// than the owner see their names alone.
func environmentOf(e *tasks.Environment, who *who) api.Environment {
	out := api.Environment{
		Name: e.Name, Version: e.Version, Owner: e.Owner, Created: when(e.Created), Packages: e.Packages,
		Setup: e.Setup, Options: e.Options, Env: maps.Clone(e.Env), Dir: e.Dir,
	}
	for _, src := range e.Sources {
		out.Sources = append(out.Sources, api.Source{Name: src.Name, Ref: src.Ref, Path: src.Path})
	}
	if e.Owner != who.Owner && !who.Admin {
		for name := range out.Env {
			out.Env[name] = "***"
		}
	}
	return out
}

func (s *Server) listEnvironments(w http.ResponseWriter, r *http.Request, who *who) error {
	all, err := s.queue.Environments(r.Context())
	if err != nil {
		return err
	}
	out := api.Environments{Environments: make([]api.Environment, 0, len(all))}
	for i := range all {
		out.Environments = append(out.Environments, environmentOf(&all[i], who))
	}
	return writeJSON(w, 200, &out)
}

// getEnvironment answers with the newest version, or with that of name@version.
func (s *Server) getEnvironment(w http.ResponseWriter, r *http.Request, who *who) error {
	name, version, err := tasks.ParseEnv(r.PathValue("name"))
	if err != nil {
		return invalidField("name", err.Error())
	}
	e, err := s.queue.Environment(r.Context(), name, version)
	if err != nil {
		return missing(err, "environment", r.PathValue("name"))
	}
	out := environmentOf(&e, who)
	return writeJSON(w, 200, &out)
}

func (s *Server) setEnvironment(w http.ResponseWriter, r *http.Request, who *who) error {
	name, err := named(r, "an environment")
	if err != nil {
		return err
	}
	var in api.Environment
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	if in.Name != "" && in.Name != name {
		return invalidField("name", strconv.Quote(in.Name)+" is not the name in the path")
	}
	e := tasks.Environment{
		Name: name, Packages: in.Packages, Setup: in.Setup, Options: in.Options, Env: in.Env, Dir: in.Dir,
	}
	for i, src := range in.Sources {
		source, err := s.source(r, &src)
		if err != nil {
			return invalidField(fmt.Sprintf("sources[%d]", i), err.Error())
		}
		e.Sources = append(e.Sources, source)
	}
	if e, err = s.queue.SetEnvironment(r.Context(), who.Who, e); err != nil {
		return err
	}
	out := environmentOf(&e, who)
	return writeJSON(w, 200, &out)
}

func (s *Server) deleteEnvironment(w http.ResponseWriter, r *http.Request, who *who) error {
	name, err := named(r, "an environment")
	if err != nil {
		return err
	}
	if err := s.queue.DeleteEnvironment(r.Context(), who.Who, name); err != nil {
		return missing(err, "environment", name)
	}
	return writeJSON(w, 200, &api.Deleted{Deleted: name})
}

// source keeps the text of an R file as a value.
func (s *Server) source(r *http.Request, in *api.Source) (tasks.Source, error) {
	given := 0
	for _, text := range []string{in.Text, in.Ref, in.Path} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		return tasks.Source{}, fmt.Errorf("must have one of text, ref and path, and has %d", given)
	}
	out := tasks.Source{Name: in.Name, Ref: in.Ref, Path: in.Path}
	switch {
	case in.Path != "" && !path.IsAbs(in.Path):
		return out, fmt.Errorf("path %q is not absolute: it is one on the workers' machines", in.Path)
	case in.Ref != "" && !reference.MatchString(in.Ref):
		return out, fmt.Errorf("ref %q is no reference: that is SHA-256 in 64 hex digits", in.Ref)
	case in.Text != "":
		ref, err := s.blobs.PutBytes(r.Context(), []byte(in.Text))
		if err != nil {
			return out, err
		}
		out.Ref = ref
	}
	if out.Name == "" {
		if out.Name = "source.R"; out.Path != "" {
			out.Name = path.Base(out.Path)
		}
	}
	return out, nil
}

func configOf(c *tasks.WorkerConfig) api.WorkerConfig {
	return api.WorkerConfig{
		Name: c.Name, Queues: c.Queues, Min: c.Min, Max: c.Max, IdleTimeout: api.Duration(c.IdleTimeout),
		MaxMemory: api.Size(c.MaxMemory), MaxTasks: c.MaxTasks, LogTasks: c.LogTasks,
	}
}

func (s *Server) listWorkerConfigs(w http.ResponseWriter, r *http.Request, _ *who) error {
	all, err := s.queue.WorkerConfigs(r.Context())
	if err != nil {
		return err
	}
	out := api.WorkerConfigs{Configs: make([]api.WorkerConfig, 0, len(all))}
	for i := range all {
		if tasks.CheckName("", all[i].Name) != nil {
			continue // a record of rpipe's own
		}
		out.Configs = append(out.Configs, configOf(&all[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) getWorkerConfig(w http.ResponseWriter, r *http.Request, _ *who) error {
	name, err := named(r, "a worker configuration")
	if err != nil {
		return err
	}
	c, err := s.queue.WorkerConfig(r.Context(), name)
	if err != nil {
		return missing(err, "worker configuration", name)
	}
	out := configOf(&c)
	return writeJSON(w, 200, &out)
}

func (s *Server) setWorkerConfig(w http.ResponseWriter, r *http.Request, who *who) error {
	name, err := named(r, "a worker configuration")
	if err != nil {
		return err
	}
	var in api.WorkerConfig
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	switch {
	case in.Name != "" && in.Name != name:
		return invalidField("name", strconv.Quote(in.Name)+" is not the name in the path")
	case in.Min < 0 || in.Max < 0 || in.MaxTasks < 0:
		return invalidField("", "min, max and max_tasks are 0 or more")
	case in.Max > 0 && in.Min > in.Max:
		return invalidField("min", "is larger than max")
	}
	for i, q := range in.Queues {
		if err := tasks.CheckName("a queue", q); err != nil {
			return invalidField(fmt.Sprintf("queues[%d]", i), err.Error())
		}
	}
	c := tasks.WorkerConfig{
		Name: name, Queues: in.Queues, Min: in.Min, Max: in.Max, IdleTimeout: time.Duration(in.IdleTimeout),
		MaxMemory: int64(in.MaxMemory), MaxTasks: in.MaxTasks, LogTasks: in.LogTasks,
	}
	if err := s.queue.SetWorkerConfig(r.Context(), who.Who, c); err != nil {
		return err
	}
	out := configOf(&c)
	return writeJSON(w, 200, &out)
}

func (s *Server) deleteWorkerConfig(w http.ResponseWriter, r *http.Request, who *who) error {
	name, err := named(r, "a worker configuration")
	if err != nil {
		return err
	}
	if err := s.queue.DeleteWorkerConfig(r.Context(), who.Who, name); err != nil {
		return missing(err, "worker configuration", name)
	}
	return writeJSON(w, 200, &api.Deleted{Deleted: name})
}

func (s *Server) getOwner(w http.ResponseWriter, r *http.Request, who *who) error {
	name := r.PathValue("name")
	if name != who.Owner && !who.Read && !who.Admin {
		return missing(queue.ErrMissing, "owner", strconv.Quote(name))
	}
	return s.showOwner(w, r, who, name)
}

func (s *Server) showOwner(w http.ResponseWriter, r *http.Request, who *who, name string) error {
	o, err := s.queue.Owner(r.Context(), who.Who, name)
	if err != nil {
		return missing(err, "owner", strconv.Quote(name))
	}
	return writeJSON(w, 200, ownerOf(&o))
}

func ownerOf(o *queue.OwnerInfo) *api.Owner {
	return &api.Owner{
		Owner: o.Owner, MaxRunning: o.MaxRunning, MaxJobs: o.MaxJobs, MaxBytes: api.Size(o.MaxBytes),
		States: statesOf(o.States), Bytes: o.Bytes,
	}
}

func (s *Server) listOwners(w http.ResponseWriter, r *http.Request, who *who) error {
	all, err := s.queue.Owners(r.Context(), who.Who)
	if err != nil {
		return err
	}
	out := api.Owners{Owners: make([]api.Owner, 0, len(all))}
	for i := range all {
		out.Owners = append(out.Owners, *ownerOf(&all[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) setOwner(w http.ResponseWriter, r *http.Request, who *who) error {
	name := r.PathValue("name")
	if name == "" || len(name) > 100 {
		return invalidField("name", "an owner has a name of 1 to 100 bytes")
	}
	var in api.OwnerSettings
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	for field, n := range map[string]*int{"max_running": in.MaxRunning, "max_jobs": in.MaxJobs} {
		if n != nil && *n < 0 {
			return invalidField(field, "is less than 0; 0 is no limit")
		}
	}
	_, err := s.queue.SetOwner(r.Context(), who.Who, name, func(o *tasks.OwnerConfig) {
		set(&o.MaxRunning, in.MaxRunning)
		set(&o.MaxJobs, in.MaxJobs)
		if in.MaxBytes != nil {
			o.MaxBytes = int64(*in.MaxBytes)
		}
	})
	if err != nil {
		return err
	}
	return s.showOwner(w, r, who, name)
}
