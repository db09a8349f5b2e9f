package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/server/pipelines"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// Schedule is a job that is submitted by the clock.
type Schedule struct {
	Name            string `yaml:"name" required:"true" doc:"Its name, by which commands and pages know it."`
	schedule.Timing `yaml:",inline"`

	Fun    string         `yaml:"fun" example:"reports::nightly" doc:"A function: its name, or R source text such as function(n) n + 1."`
	Expr   string         `yaml:"expr" doc:"An expression, in place of a function."`
	File   string         `yaml:"file" doc:"A script, in place of a function, which is read at each run."`
	Call   string         `yaml:"call" doc:"A function that the script defines and that is called, with args; without it the script is evaluated, in which args are variables."`
	Args   map[string]any `yaml:"args" example:"{region: north, days: 7}" doc:"Arguments by name; of expr and of file without call they are variables."`
	TimeAs string         `yaml:"time_as" doc:"Name of the argument, or variable, that has the scheduled time, a POSIXct. Empty: none for a function, and scheduled_time for expr and for file without call."`

	Queue       string            `yaml:"queue" default:"default" doc:"Queue that the job goes to."`
	Priority    string            `yaml:"priority" default:"normal" enum:"high|normal|low" doc:"Place within the queue."`
	Environment string            `yaml:"environment" doc:"Environment that it runs in: a name, or name@version. Empty: default."`
	Packages    []string          `yaml:"packages" scalar:"true" doc:"Packages that are attached before."`
	Labels      map[string]string `yaml:"labels" doc:"Labels of its jobs, beside schedule and run, which they all have."`
	Owner       string            `yaml:"owner" doc:"Whose jobs they are. Empty: the user's that the server runs as."`
	Memory      configs.Size      `yaml:"memory" default:"0" doc:"Resident memory of the R process. 0 is no limit but the worker's."`
	Isolate     bool              `yaml:"isolate" doc:"A process of its own, which ends with it."`
	Seed        *int64            `yaml:"seed" doc:"Seed of random numbers. Without it they differ from run to run."`
	ResultTTL   configs.Duration  `yaml:"result_ttl" default:"7d" doc:"How long jobs with their results and logs stay after their end. 0 is never to go."`
}

// Check implements configs.Checker.
func (c *Schedule) Check(report func(field, message, hint string)) {
	if err := tasks.CheckName("a schedule", c.Name); c.Name != "" && err != nil {
		report("name", err.Error(), "")
	}
	kinds := 0
	for _, text := range []string{c.Fun, c.Expr, c.File} {
		if text != "" {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		report("fun", "says what R is to do, and is missing; expr and file too", "such as fun: reports::nightly")
	case kinds > 1:
		report("fun", "one of fun, expr and file says what R is to do, and there are several", "make a schedule of each")
	}
	if c.Call != "" && c.File == "" {
		report("call", "names a function of the script in file, which is missing", "")
	}
	if err := tasks.CheckName("a queue", c.Queue); err != nil {
		report("queue", err.Error(), "")
	}
	if _, _, err := tasks.ParseEnv(c.Environment); err != nil {
		report("environment", err.Error(), "")
	}
	if _, there := c.Args[c.timeAs()]; there {
		report("time_as", fmt.Sprintf("args has a %s of its own", c.timeAs()), "set time_as to another name")
	}
	if c.Jitter > 0 && c.Cron == "" {
		report("jitter", "is for times of cron, and there is none", "")
	}
}

// checkSchedules reports what is wrong with schedules together, and with what they name.
func (f *File) checkSchedules(report func(field, message, hint string)) {
	seen := map[string]bool{}
	all := f.Schedules
	for i := range all {
		for n, target := range all[i].Notify {
			if _, there := f.Notify[target]; !there {
				report(fmt.Sprintf("schedules[%d].notify[%d]", i, n), fmt.Sprintf("there is no %s in notify", target), "add it there, or name another")
			}
		}
		if name := all[i].Name; seen[name] {
			report(fmt.Sprintf("schedules[%d].name", i), fmt.Sprintf("there are two schedules %s", name), "")
		} else {
			seen[name] = true
		}
	}
}

// kind says in a word what runs.
func (c *Schedule) kind() string {
	switch {
	case c.Fun != "":
		return "function"
	case c.Expr != "":
		return "expression"
	}
	return "script"
}

// timeAs is the name that R has the scheduled time by; "" is none.
func (c *Schedule) timeAs() string {
	if c.TimeAs == "" && (c.Expr != "" || c.File != "" && c.Call == "") {
		return "scheduled_time"
	}
	return c.TimeAs
}

// submission is the job of a run.
func (c *Schedule) submission(f *File, run *schedule.Run) (*api.Submission, error) {
	in := &api.Submission{
		Key: fmt.Sprintf("schedule/%s/%d", run.ID, run.Attempt), Name: c.Name, Labels: maps.Clone(c.Labels),
		Packages: c.Packages, Environment: c.Environment, Queue: c.Queue, Priority: c.Priority,
		Isolate: c.Isolate, Memory: api.Size(c.Memory), Seed: c.Seed, ResultTTL: api.Duration(c.ResultTTL),
	}
	if in.Labels == nil {
		in.Labels = map[string]string{}
	}
	in.Labels["schedule"], in.Labels["run"] = c.Name, run.ID
	text := func(t string) *api.Value {
		b, _ := json.Marshal(t) // a string
		return &api.Value{JSON: b}
	}
	switch {
	case c.Fun != "":
		in.Fun = text(c.Fun)
	case c.Expr != "":
		in.Expr = text(c.Expr)
	default:
		script, err := os.ReadFile(f.below(c.File))
		if err != nil {
			return nil, fmt.Errorf("file: %w", err)
		}
		if c.Call != "" {
			in.Fun = text("local({\n" + string(script) + "\n" + c.Call + "\n})")
		} else {
			in.Expr = text("{\n" + string(script) + "\n}")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Args)) {
		b, err := json.Marshal(plain(c.Args[name]))
		if err != nil {
			return nil, fmt.Errorf("args.%s: %w", name, err)
		}
		in.Args = append(in.Args, api.Arg{Name: name, Value: api.Value{JSON: b}})
	}
	if name := c.timeAs(); name != "" {
		stream, err := posixct(run.Scheduled)
		if err != nil {
			return nil, fmt.Errorf("scheduled time: %w", err)
		}
		in.Args = append(in.Args, api.Arg{Name: name, Value: api.Value{R: stream}})
	}
	return in, nil
}

// posixct is a time as R serializes it.
func posixct(t time.Time) ([]byte, error) {
	return rdata.Append(nil, &rdata.Double{Values: []float64{float64(t.UnixMilli()) / 1000}, Attrs: rdata.Attributes{
		{Name: "class", Value: rdata.NewCharacter([]string{"POSIXct", "POSIXt"})}, {Name: "tzone", Value: rdata.NewCharacter([]string{"UTC"})},
	}}, rdata.Format{})
}

// plain makes of what YAML says what encoding/json takes, objects in their order.
func plain(v any) any {
	switch v := v.(type) {
	case configs.Object:
		return object(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}

// object is a mapping that keeps its order in JSON.
type object configs.Object

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(m.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(plain(m.Value))
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}

// openSchedules begins to keep schedules; setSchedules says which.
func (s *Server) openSchedules() error {
	var err error
	s.keeper, err = keeper.Open(s.ctx, s.broker, keeper.Options{
		Notify: s.tell, Tracer: s.tracer, Log: s.log.With("part", "schedules"),
		Changed: func() {
			if s.dashboard != nil {
				s.dashboard.Changed("schedules", "")
				s.dashboard.Changed("runs", "")
			}
		},
	})
	if err != nil {
		return err
	}
	if err := s.setSchedules(s.ctx, s.file); err != nil {
		return &ConfigError{err}
	}
	return nil
}

// setSchedules has the schedules of a file hold, and those of pipelines.
func (s *Server) setSchedules(_ context.Context, f *File) error {
	entries := make([]keeper.Entry, 0, len(f.Schedules))
	for i := range f.Schedules {
		c := &f.Schedules[i]
		owner := c.Owner
		if owner == "" {
			owner = s.access.self
		}
		entries = append(entries, keeper.Entry{
			Name: c.Name, Timing: c.Timing, Kind: c.kind(), From: f.Path, Owner: owner, Work: &scheduled{s: s, file: f, c: c, owner: owner},
		})
	}
	before := s.changeEntries(entries)
	_, err := s.pipelines.Load() // a pipeline that is new may be what one comes after, or have had the name of one
	if err == nil {
		err = s.renewSchedules()
	}
	if err != nil {
		s.changeEntries(before) // or no change of a pipeline would be taken any more
	}
	return err
}

// changeEntries sets the schedules of the file, and returns those of before.
func (s *Server) changeEntries(entries []keeper.Entry) (before []keeper.Entry) {
	s.scheduleMu.Lock()
	defer s.scheduleMu.Unlock()
	before, s.scheduleEntries = s.scheduleEntries, entries
	return before
}

// putSchedules gives the keeper all that is configured. s.scheduleMu is held.
func (s *Server) putSchedules() error {
	all := slices.Clone(s.scheduleEntries)
	for _, more := range s.scheduleSources {
		all = append(all, more()...)
	}
	all, held := s.withoutOrphans(all)
	return s.keeper.Set(all, held...)
}

// withoutOrphans leaves out what comes after a pipeline whose file has an error, and what
// comes after that: a file that is broken keeps nothing else from running. These, and it,
// are held.
func (s *Server) withoutOrphans(all []keeper.Entry) (_ []keeper.Entry, held []string) {
	out := map[string]bool{}
	list, _ := s.pipelines.List()
	for i := range list {
		if list[i].State == pipelines.Broken {
			out[list[i].Name] = true
		}
	}
	for _, e := range all { // a schedule may have the name
		delete(out, e.Name)
	}
	for n := -1; n != len(all); {
		n = len(all)
		all = slices.DeleteFunc(all, func(e keeper.Entry) bool {
			i := slices.IndexFunc(e.Timing.After, func(before string) bool { return out[before] })
			if i < 0 {
				return false
			}
			out[e.Name] = true
			s.log.Error("a schedule is not run: what it comes after has an error", "schedule", e.Name, "after", e.Timing.After[i], "hint", "mend it, or take it out of after")
			return true
		})
	}
	return all, slices.Collect(maps.Keys(out))
}

// renewSchedules gives the keeper what the file and s.scheduleSources say now.
func (s *Server) renewSchedules() error {
	s.scheduleMu.Lock()
	defer s.scheduleMu.Unlock()
	return s.putSchedules()
}
