package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// QueueInfo is a queue: its settings, and what is in it.
type QueueInfo struct {
	tasks.QueueConfig
	Pending, Deferred, Running, Bytes int64
	Workers                           int
}

// Queues are those that have settings, tasks or workers, by name.
func (q *Queue) Queues(ctx context.Context) ([]QueueInfo, error) {
	if err := q.sync(ctx); err != nil {
		return nil, err
	}
	all := map[string]*QueueInfo{}
	at := func(name string) *QueueInfo {
		if all[name] == nil {
			all[name] = &QueueInfo{QueueConfig: tasks.QueueConfig{Name: name}}
		}
		return all[name]
	}
	configs, err := list[tasks.QueueConfig](ctx, q, tasks.QueueSubjects)
	if err != nil {
		return nil, err
	}
	for _, c := range configs {
		at(c.Name).QueueConfig = c
	}
	stats, err := q.index.QueueStats(ctx)
	if err != nil {
		return nil, err
	}
	for name, s := range stats {
		i := at(name)
		i.Pending, i.Deferred, i.Running, i.Bytes = s.Pending, s.Deferred, s.Running, s.Bytes
	}
	workers, err := q.Workers(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range workers {
		for _, name := range w.Queues {
			if w.State != Lost {
				at(name).Workers++
			}
		}
	}
	infos := make([]QueueInfo, 0, len(all))
	for _, i := range all {
		infos = append(infos, *i)
	}
	slices.SortFunc(infos, func(a, b QueueInfo) int { return cmp.Compare(a.Name, b.Name) })
	return infos, nil
}

// Queue is one; of a queue that nobody has used all is zero.
func (q *Queue) Queue(ctx context.Context, name string) (QueueInfo, error) {
	if err := tasks.CheckName("a queue", name); err != nil {
		return QueueInfo{}, invalid("name", "%v", err)
	}
	all, err := q.Queues(ctx)
	for _, i := range all {
		if i.Name == name {
			return i, nil
		}
	}
	return QueueInfo{QueueConfig: tasks.QueueConfig{Name: name}}, err
}

// SetQueue changes the settings of a queue by f, on what they are now. Admins only.
func (q *Queue) SetQueue(ctx context.Context, who Who, name string, f func(*tasks.QueueConfig)) (tasks.QueueConfig, error) {
	if err := who.admin("change queues"); err != nil {
		return tasks.QueueConfig{}, err
	}
	if err := tasks.CheckName("a queue", name); err != nil {
		return tasks.QueueConfig{}, invalid("name", "%v", err)
	}
	c, err := set(ctx, q, tasks.QueueSubject(name), tasks.QueueConfig{Name: name}, func(c *tasks.QueueConfig) error {
		f(c)
		c.Name = name
		if c.MaxLength < 0 || c.MaxBytes < 0 {
			return invalid("max_length", "limits must not be negative; 0 is none")
		}
		return nil
	})
	if err == nil {
		if err := q.broker.Publish(tasks.QueuesChanged, nil); err != nil { // workers look by themselves too
			q.log.Warn("workers have not been told of the settings of a queue", "queue", name, "error", err)
		}
	}
	return c, err
}

func (w Who) admin(what string) error {
	if w.Admin {
		return nil
	}
	return fmt.Errorf("%s: %w: it takes an administrator", what, ErrForbidden)
}

// OwnerInfo are limits, and what there is.
type OwnerInfo struct {
	tasks.OwnerConfig
	States map[tasks.State]int64
	Bytes  int64
}

// Owners are those that have limits or tasks, by name: of an asker who may not see
// others, himself.
func (q *Queue) Owners(ctx context.Context, who Who) ([]OwnerInfo, error) {
	names := []string{who.Owner}
	if who.sees("") {
		var err error
		if names, err = q.index.Owners(ctx); err != nil {
			return nil, err
		}
		configs, err := list[tasks.OwnerConfig](ctx, q, tasks.OwnerSubjects)
		if err != nil {
			return nil, err
		}
		for _, c := range configs {
			names = append(names, c.Owner)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	infos := make([]OwnerInfo, 0, len(names))
	for _, name := range names {
		i, err := q.Owner(ctx, who, name)
		if err != nil {
			return nil, err
		}
		infos = append(infos, i)
	}
	return infos, nil
}

// Owner is one; of one who has nothing, the limits that hold for all.
func (q *Queue) Owner(ctx context.Context, who Who, owner string) (OwnerInfo, error) {
	if !who.sees(owner) {
		return OwnerInfo{}, fmt.Errorf("owner %.60q: %w", owner, ErrMissing)
	}
	if err := q.sync(ctx); err != nil {
		return OwnerInfo{}, err
	}
	c, err := q.limits(ctx, owner)
	if err != nil {
		return OwnerInfo{}, err
	}
	s, err := q.index.OwnerStats(ctx, owner)
	return OwnerInfo{c, s.Counts, s.Bytes}, err
}

// SetOwner changes limits by f, on what they are now. Admins only. The leader takes back
// from the queues what is beyond them, the last first; what runs goes on.
func (q *Queue) SetOwner(ctx context.Context, who Who, owner string, f func(*tasks.OwnerConfig)) (tasks.OwnerConfig, error) {
	if err := who.admin("change limits"); err != nil {
		return tasks.OwnerConfig{}, err
	}
	if owner == "" || len(owner) > maxName || hasControl(owner) {
		return tasks.OwnerConfig{}, invalid("owner", "it must be one line of at most %d bytes", maxName)
	}
	zero := q.o.Owner
	zero.Owner = owner
	return set(ctx, q, tasks.OwnerSubject(owner), zero, func(c *tasks.OwnerConfig) error {
		f(c)
		c.Owner = owner
		if c.MaxRunning < 0 || c.MaxJobs < 0 || c.MaxBytes < 0 {
			return invalid("", "limits must not be negative; 0 is none")
		}
		return nil
	})
}

// Environments are the newest versions, by name.
func (q *Queue) Environments(ctx context.Context) ([]tasks.Environment, error) {
	return list[tasks.Environment](ctx, q, "rp.e.*")
}

// Environment is one, of the newest version where version is 0.
func (q *Queue) Environment(ctx context.Context, name string, version int) (tasks.Environment, error) {
	var e tasks.Environment
	if err := tasks.CheckName("an environment", name); err != nil {
		return e, invalid("name", "%v", err)
	}
	rev, err := q.read(ctx, tasks.EnvSubject(name, version), &e)
	if err == nil && rev == 0 {
		err = fmt.Errorf("environment %s: %w", name, ErrMissing)
	}
	return e, err
}

// SetEnvironment makes the next version; the same content as the newest makes none. It
// belongs to who made it first, and others may not change it; default is the admins'. Workers take the next
// version for the tasks that they begin from now on.
func (q *Queue) SetEnvironment(ctx context.Context, who Who, e tasks.Environment) (tasks.Environment, error) {
	if e.Name == tasks.DefaultEnv { // everybody's tasks run in it
		if err := who.admin("change the environment default"); err != nil {
			return e, err
		}
	}
	if err := q.checkEnvironment(ctx, &e); err != nil {
		return e, err
	}
	made, err := set(ctx, q, tasks.EnvSubject(e.Name, 0), tasks.Environment{}, func(old *tasks.Environment) error {
		next := e
		next.Version, next.Owner, next.Created = old.Version, old.Owner, old.Created
		if sameJSON(next, *old) {
			return nil
		}
		if old.Version > 0 && !who.changes(old.Owner) {
			return fmt.Errorf("environment %s belongs to %s: %w", e.Name, old.Owner, ErrForbidden)
		}
		next.Version, next.Created = old.Version+1, time.Now().UTC().Truncate(time.Millisecond)
		if next.Owner == "" {
			next.Owner = who.Owner
		}
		*old = next
		return nil
	})
	if err != nil {
		return made, err
	}
	data, err := json.Marshal(made)
	if err != nil {
		return made, err
	}
	_, err = q.write(ctx, broker.Write{Subject: tasks.EnvSubject(made.Name, made.Version), Data: data})
	if err != nil && !isConflict(err) {
		return made, err
	}
	return made, nil
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

func (q *Queue) checkEnvironment(ctx context.Context, e *tasks.Environment) error {
	if err := tasks.CheckName("an environment", e.Name); err != nil {
		return invalid("name", "%v", err)
	}
	for i, p := range e.Packages {
		if !packageShape.MatchString(p) {
			return invalid(fmt.Sprintf("packages[%d]", i), "%.60q is not the name of a package", p)
		}
	}
	for i, s := range e.Sources {
		field := fmt.Sprintf("sources[%d]", i)
		switch {
		case (s.Ref == "") == (s.Path == ""):
			return invalid(field, "give the text of the file, or its path on the workers' machines")
		case len(s.Name) > maxName || hasControl(s.Name):
			return invalid(field, "its name must be one line of at most %d bytes", maxName)
		case s.Path != "" && !strings.HasPrefix(s.Path, "/") && !strings.Contains(s.Path, `:\`):
			return invalid(field, "the path %q must be absolute", s.Path)
		case s.Ref != "":
			v := tasks.Value{Ref: s.Ref}
			if err := q.keepValue(ctx, field, &v, tasks.MaxInline); err != nil {
				return err
			}
		}
	}
	for name, value := range e.Env {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			return invalid("env", "%q is not the name of an environment variable", name)
		case strings.Contains(value, "\x00"):
			return invalid("env", "the value of %s has a zero byte, which no process can be given", name)
		}
	}
	return nil
}

// DeleteEnvironment removes all versions. Tasks that need it end with an error that says
// so.
func (q *Queue) DeleteEnvironment(ctx context.Context, who Who, name string) error {
	e, err := q.Environment(ctx, name, 0)
	if err != nil {
		return err
	}
	if err := who.may(e.Owner, "environment "+name); err != nil {
		return err
	}
	for v := e.Version; v >= 0; v-- {
		subject := tasks.EnvSubject(name, v)
		if err := q.erase(ctx, subject); err != nil {
			return err
		}
	}
	return nil
}

// WorkerConfigs are all, by name. Admins change them.
func (q *Queue) WorkerConfigs(ctx context.Context) ([]tasks.WorkerConfig, error) {
	return list[tasks.WorkerConfig](ctx, q, tasks.WorkerSubjects)
}

// WorkerConfig is one.
func (q *Queue) WorkerConfig(ctx context.Context, name string) (tasks.WorkerConfig, error) {
	var c tasks.WorkerConfig
	if err := tasks.CheckName("a worker configuration", name); err != nil {
		return c, invalid("name", "%v", err)
	}
	rev, err := q.read(ctx, tasks.WorkerConfigSubject(name), &c)
	if err == nil && rev == 0 {
		err = fmt.Errorf("worker configuration %s: %w", name, ErrMissing)
	}
	return c, err
}

// SetWorkerConfig makes one, or replaces it. Workers that start with it from now on
// have it.
func (q *Queue) SetWorkerConfig(ctx context.Context, who Who, c tasks.WorkerConfig) error {
	if err := who.admin("change worker configurations"); err != nil {
		return err
	}
	if err := tasks.CheckName("a worker configuration", c.Name); err != nil {
		return invalid("name", "%v", err)
	}
	for i, name := range c.Queues {
		if err := tasks.CheckName("a queue", name); err != nil {
			return invalid(fmt.Sprintf("queues[%d]", i), "%v", err)
		}
	}
	if c.Min < 0 || c.Max < 0 || c.Max > 0 && c.Min > c.Max || c.MaxMemory < 0 || c.MaxTasks < 0 || c.IdleTimeout < 0 {
		return invalid("", "min, max and the limits must not be negative, and min not more than max")
	}
	_, err := set(ctx, q, tasks.WorkerConfigSubject(c.Name), c, func(old *tasks.WorkerConfig) error {
		*old = c
		return nil
	})
	return err
}

// DeleteWorkerConfig removes one.
func (q *Queue) DeleteWorkerConfig(ctx context.Context, who Who, name string) error {
	if err := who.admin("change worker configurations"); err != nil {
		return err
	}
	if _, err := q.WorkerConfig(ctx, name); err != nil {
		return err
	}
	return q.erase(ctx, tasks.WorkerConfigSubject(name))
}

// erase removes a record, whatever it is.
func (q *Queue) erase(ctx context.Context, subject string) error {
	defer q.settings.drop(subject)
	if _, err := q.write(ctx, broker.Write{Subject: subject, Any: true, Delete: true}); err != nil {
		return fmt.Errorf("delete %s: %w", subject, err)
	}
	return nil
}

// list reads all records of a kind, by subject.
func list[T any](ctx context.Context, q *Queue, filter string) ([]T, error) {
	type found struct {
		subject string
		value   T
	}
	var all []found
	err := q.broker.Range(ctx, filter, func(r broker.Record) error {
		if r.Data == nil {
			return nil
		}
		f := found{subject: r.Subject}
		if err := json.Unmarshal(r.Data, &f.value); err != nil {
			return fmt.Errorf("record %s is damaged: %w", r.Subject, err)
		}
		all = append(all, f)
		return nil
	})
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(a.subject, b.subject) })
	values := make([]T, len(all))
	for i, f := range all {
		values[i] = f.value
	}
	return values, err
}
