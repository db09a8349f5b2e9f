package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/server/pipelines"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// pipelineOf is a pipeline with what has become of its schedule.
func (s *Server) pipelineOf(p *pipelines.Status) api.Pipeline {
	out := api.Pipeline{
		Name: p.Name, File: p.Path, Owner: s.access.self, Pool: s.pipelines.Pool(), State: p.State, Loaded: when(p.Loaded),
		Problems: problemsOf(p.Problems), Dead: p.Dead, Running: s.pipelines.Running(p.Name),
	}
	for _, n := range p.Nodes {
		out.Nodes = append(out.Nodes, nodeOf(&n))
	}
	if p.Timing != nil {
		out.Cron, out.TimeZone = p.Timing.Cron, p.Timing.TimeZone
	}
	if k, err := s.keeper.Get(p.Name); err == nil && k.Kind == pipelines.Kind {
		out.Next, out.Paused = when(k.Next), k.Paused
		if k.Last != nil {
			last := runOf(k.Last)
			last.Report = nil
			out.Last = &last
		}
	}
	return out
}

func problemsOf(all configs.Problems) (out []api.PipelineProblem) {
	for _, p := range all {
		out = append(out, api.PipelineProblem{File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Message: p.Message, Hint: p.Hint, Warning: p.Warning})
	}
	return out
}

func nodeOf(n *pipeline.Node) api.PipelineNode {
	out := api.PipelineNode{Label: n.Label, Kind: n.Kind, Component: n.Component, Line: n.Line, After: n.After, Settings: n.Settings}
	for _, c := range n.Out {
		out.Columns = append(out.Columns, api.PipelineColumn{Name: c.Name, Type: c.Type})
	}
	return out
}

func pipelineRunOf(r *schedule.Run) api.PipelineRun {
	out := api.PipelineRun{
		ID: r.ID, Pipeline: r.Schedule, Scheduled: r.Scheduled.UTC(), Cause: string(r.Cause), By: r.By, State: string(r.State),
		Created: r.Created.UTC(), Started: when(r.Started), Ended: when(r.Ended), Attempt: r.Attempt, NotBefore: when(r.NotBefore),
		Server: r.Server, Reason: r.Reason, Late: r.Late, Rows: r.Rows, Error: r.Error, Files: r.Files,
	}
	if in, err := pipelines.InputOf(r); err == nil {
		out.Values, out.Replay = in.Values, in.Replay != nil
	}
	if len(r.Report) > 0 {
		out.Report = json.RawMessage(r.Report)
	}
	return out
}

// seesPipelines reports whether who asks may know of the pipelines, which are the
// server's own.
func (s *Server) seesPipelines(who *who) bool { return who.sees(s.access.self) }

// pipelineFor is the pipeline in the path, where who asks may see it; or change it.
func (s *Server) pipelineFor(r *http.Request, who *who, change bool) (*pipelines.Status, error) {
	name := r.PathValue("name")
	p, ok := s.pipelines.Get(name)
	switch {
	case !ok || !s.seesPipelines(who):
		return nil, noPipeline(name)
	case change && !who.Admin && who.Owner != s.access.self:
		return nil, &api.Fault{Status: http.StatusForbidden, Code: "forbidden", Message: "pipelines belong to " + s.access.self + ", and are not yours to run"}
	}
	return &p, nil
}

func noPipeline(name string) error {
	return &api.Fault{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no pipeline %q, or it is another's", name)}
}

// pipelineFault is what a client is told of an error about a pipeline's file, which the
// client may see.
func pipelineFault(err error) error {
	var problems configs.Problems
	var config *pipeline.ConfigError
	var environment *pipeline.EnvironmentError
	switch {
	case errors.Is(err, pipelines.ErrMissing):
		return &api.Fault{Status: http.StatusConflict, Code: "broken", Message: err.Error() + ": its file has an error"}
	case errors.As(err, &problems), errors.As(err, &config), errors.As(err, &environment):
		return &api.Fault{Status: http.StatusConflict, Code: "conflict", Message: strings.TrimSpace(err.Error())}
	}
	return err
}

func (s *Server) listPipelines(w http.ResponseWriter, _ *http.Request, who *who) error {
	out := api.Pipelines{Pipelines: []api.Pipeline{}}
	if !s.seesPipelines(who) {
		return writeJSON(w, 200, &out)
	}
	all, problems := s.pipelines.List()
	out.Directory, out.Problems = s.pipelines.Dir(), problemsOf(problems)
	for i := range all {
		out.Pipelines = append(out.Pipelines, s.pipelineOf(&all[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) getPipeline(w http.ResponseWriter, r *http.Request, who *who) error {
	p, err := s.pipelineFor(r, who, false)
	if err != nil {
		return err
	}
	out := s.pipelineOf(p)
	return writeJSON(w, 200, &out)
}

func (s *Server) getPipelinePlan(w http.ResponseWriter, r *http.Request, who *who) error {
	p, err := s.pipelineFor(r, who, false)
	if err != nil {
		return err
	}
	plan, problems, err := s.pipelines.Plan(r.Context(), p.Name, nil)
	if err != nil {
		return pipelineFault(err)
	}
	out := api.PipelinePlan{
		Nodes: []api.PipelineNode{}, Rows: plan.Size.Rows, Bytes: plan.Size.Bytes, Workers: plan.Workers, Queues: plan.Queues,
		Memory: int64(plan.Memory), Commit: plan.Commit, Problems: problemsOf(problems),
	}
	for i := range plan.Nodes {
		out.Nodes = append(out.Nodes, nodeOf(&plan.Nodes[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) runPipeline(w http.ResponseWriter, r *http.Request, who *who) error {
	p, err := s.pipelineFor(r, who, true)
	if err != nil {
		return err
	}
	var in api.PipelineStart
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	var at time.Time
	if in.Scheduled != nil {
		at = *in.Scheduled
	}
	return s.startPipeline(w, r, who, p.Name, at, pipelines.Input{Values: in.Values})
}

func (s *Server) replayPipeline(w http.ResponseWriter, r *http.Request, who *who) error {
	p, err := s.pipelineFor(r, who, true)
	if err != nil {
		return err
	}
	var in api.PipelineReplay
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	if !p.Dead {
		return &api.Fault{Status: http.StatusConflict, Code: "conflict", Message: p.Path + " has no dead_letter block: rows that fail are not kept"}
	}
	return s.startPipeline(w, r, who, p.Name, time.Time{}, pipelines.Input{
		Values: in.Values, Replay: &pipelines.Replay{Stage: in.Stage, Run: in.Run},
	})
}

// startPipeline has a pipeline run, and answers with the run.
func (s *Server) startPipeline(w http.ResponseWriter, r *http.Request, who *who, name string, at time.Time, in pipelines.Input) error {
	var problems configs.Problems
	switch err := s.pipelines.Check(name, in.Values, at); {
	case errors.As(err, &problems) && len(in.Values) > 0:
		return invalidField("values", strings.TrimSpace(problems.Error()))
	case err != nil:
		return pipelineFault(err)
	}
	text, err := json.Marshal(&in)
	if err != nil {
		return err
	}
	run, err := s.keeper.TriggerWith(r.Context(), name, at, who.Owner, text)
	if err != nil {
		return scheduleFault(err, "pipeline", name)
	}
	out := pipelineRunOf(&run)
	w.Header().Set("Location", "/v1/pipeline-runs/"+run.ID)
	return writeJSON(w, http.StatusCreated, &out)
}

func (s *Server) listPipelineRuns(w http.ResponseWriter, r *http.Request, who *who) error {
	name := r.PathValue("name")
	if k, err := s.keeper.Get(name); err != nil || k.Kind != pipelines.Kind || !s.seesPipelines(who) {
		return noPipeline(name)
	}
	return s.writeRuns(w, r, who, name)
}

// pipelineRunFor is the run in the path, where who asks may see it.
func (s *Server) pipelineRunFor(r *http.Request, who *who) (*schedule.Run, error) {
	run, err := s.runFor(r, who, false)
	if err != nil {
		return nil, err
	}
	if k, err := s.keeper.Get(run.Schedule); err != nil || k.Kind != pipelines.Kind {
		return nil, scheduleFault(keeper.ErrMissing, "run of a pipeline", run.ID)
	}
	return run, nil
}

func (s *Server) getPipelineRun(w http.ResponseWriter, r *http.Request, who *who) error {
	run, err := s.pipelineRunFor(r, who)
	if err != nil {
		return err
	}
	out := pipelineRunOf(run)
	out.Live = s.pipelines.Live(run.ID)
	return writeJSON(w, 200, &out)
}

func (s *Server) getPipelineOutput(w http.ResponseWriter, r *http.Request, who *who) error {
	run, err := s.pipelineRunFor(r, who)
	if err != nil {
		return err
	}
	out, err := s.pipelines.Outputs(r.Context(), run)
	if err != nil {
		return pipelineFault(err)
	}
	return writeJSON(w, 200, out)
}

// mostDead is how many rows of a dead letter are shown at once, at most.
const mostDead = 1000

func (s *Server) getDeadLetters(w http.ResponseWriter, r *http.Request, who *who) error {
	p, err := s.pipelineFor(r, who, false)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	filter := pipeline.DeadFilter{Stage: q.Get("stage"), Run: q.Get("run")}
	if filter.Since, err = timeOf(q, "since"); err != nil {
		return err
	}
	limit, err := intOf(q, "limit", 1, mostDead)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = 100
	}
	out, err := s.pipelines.DeadLetters(r.Context(), p.Name, filter, limit)
	if err != nil {
		return pipelineFault(err)
	}
	return writeJSON(w, 200, out)
}
