package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

func scheduleOf(k *keeper.Schedule) api.Schedule {
	t := &k.Timing
	out := api.Schedule{
		Name: k.Name, Kind: k.Kind, From: k.From, Owner: k.Owner, Cron: t.Cron, TimeZone: t.TimeZone, After: t.After,
		Overlap: t.Overlap, CatchUp: t.CatchUp, Retries: t.Retries, Timeout: api.Duration(t.Timeout), Gone: k.Gone,
		Paused: k.Paused, PausedBy: k.PausedBy, Failing: k.Failing, Next: when(k.Next), Running: k.Running, Waiting: k.Waiting,
	}
	if p, err := t.Compile(); err == nil {
		out.Start, out.End = when(p.Start), when(p.End)
	}
	if k.Last != nil {
		last := runOf(k.Last)
		out.Last = &last
	}
	for i := range k.Backfills {
		out.Backfills = append(out.Backfills, backfillOf(&k.Backfills[i]))
	}
	return out
}

func runOf(r *schedule.Run) api.Run {
	out := api.Run{
		ID: r.ID, Schedule: r.Schedule, Scheduled: r.Scheduled.UTC(), Cause: string(r.Cause), By: r.By, State: string(r.State),
		Reason: r.Reason, Error: r.Error, Created: r.Created.UTC(), Started: when(r.Started), Ended: when(r.Ended),
		NotBefore: when(r.NotBefore), Attempt: r.Attempt, Late: r.Late, Job: r.Job, Backfill: r.Range, Server: r.Server,
		Rows: r.Rows, Files: r.Files,
	}
	if len(r.Report) > 0 {
		out.Report = json.RawMessage(r.Report)
	}
	return out
}

func backfillOf(g *keeper.Range) api.Backfill {
	return api.Backfill{ID: g.ID, Cause: string(g.Cause), By: g.By, From: g.From, To: g.To, Done: g.Cursor, Times: g.Times}
}

// sees reports whether who may know of what is an owner's.
func (w *who) sees(owner string) bool { return w.Admin || w.Read || w.Owner == owner }

// scheduleFor is the schedule in the path, where who asks may see it; or change it.
func (s *Server) scheduleFor(r *http.Request, who *who, change bool) (*keeper.Schedule, error) {
	return s.scheduleNamed(r.PathValue("name"), who, change)
}

func (s *Server) scheduleNamed(name string, who *who, change bool) (*keeper.Schedule, error) {
	k, err := s.keeper.Get(name)
	if err == nil && !who.sees(k.Owner) {
		err = keeper.ErrMissing
	}
	switch {
	case err != nil:
		return nil, scheduleFault(err, "schedule", name)
	case change && !who.Admin && k.Owner != who.Owner:
		return nil, &api.Fault{Status: http.StatusForbidden, Code: "forbidden", Message: fmt.Sprintf("schedule %s belongs to %s, and is not yours to change", name, k.Owner)}
	}
	return &k, nil
}

// scheduleFault is what a client is told of an error of the keeper.
func scheduleFault(err error, what, name string) error {
	var conflict *keeper.ConflictError
	switch {
	case errors.Is(err, keeper.ErrMissing):
		return &api.Fault{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no %s %s, or it is another's", what, name)}
	case errors.As(err, &conflict):
		return &api.Fault{Status: http.StatusConflict, Code: "conflict", Message: conflict.Reason}
	}
	return err
}

func (s *Server) listSchedules(w http.ResponseWriter, _ *http.Request, who *who) error {
	out := api.Schedules{Schedules: []api.Schedule{}}
	for _, k := range s.keeper.List() {
		if who.sees(k.Owner) {
			out.Schedules = append(out.Schedules, scheduleOf(&k))
		}
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) getSchedule(w http.ResponseWriter, r *http.Request, who *who) error {
	k, err := s.scheduleFor(r, who, false)
	if err != nil {
		return err
	}
	out := scheduleOf(k)
	return writeJSON(w, 200, &out)
}

func (s *Server) nextTimes(w http.ResponseWriter, r *http.Request, who *who) error {
	k, err := s.scheduleFor(r, who, false)
	if err != nil {
		return err
	}
	n, err := intOf(r.URL.Query(), "n", 1, 1000)
	if err != nil {
		return err
	}
	if n == 0 {
		n = 10
	}
	times, err := s.keeper.Next(k.Name, n)
	if err != nil {
		return scheduleFault(err, "schedule", k.Name)
	}
	if times == nil {
		times = []time.Time{}
	}
	return writeJSON(w, 200, &api.Times{Times: times})
}

// states of runs that can be asked for.
var runStates = []schedule.State{
	schedule.Waiting, schedule.Running, schedule.Retrying, schedule.Complete, schedule.Error, schedule.Canceled,
	schedule.TimedOut, schedule.Died, schedule.Skipped, schedule.Missed,
}

func (s *Server) listRuns(w http.ResponseWriter, r *http.Request, who *who) error {
	name := r.URL.Query().Get("schedule")
	if name != "" {
		if _, err := s.scheduleNamed(name, who, false); err != nil {
			return err
		}
	}
	return s.writeRuns(w, r, who, name)
}

func (s *Server) listRunsOf(w http.ResponseWriter, r *http.Request, who *who) error {
	k, err := s.scheduleFor(r, who, false)
	if err != nil {
		return err
	}
	return s.writeRuns(w, r, who, k.Name)
}

func (s *Server) writeRuns(w http.ResponseWriter, r *http.Request, who *who, name string) error {
	q := r.URL.Query()
	f := keeper.Filter{Schedule: name, After: q.Get("after")}
	if !who.Admin && !who.Read {
		f.Owner = who.Owner
	}
	if _, ok := s.keeper.ScheduleOf(f.After); f.After != "" && !ok { // or the first page would come again
		return invalidField("after", "names no run that is kept: begin again without it")
	}
	for _, list := range q["state"] {
		for text := range strings.SplitSeq(list, ",") {
			state := schedule.State(strings.ToUpper(text))
			if !slices.Contains(runStates, state) {
				return invalidField("state", fmt.Sprintf("%q is none of %v", text, runStates))
			}
			f.States = append(f.States, state)
		}
	}
	var err error
	if f.Since, err = timeOf(q, "since"); err != nil {
		return err
	}
	if f.Until, err = timeOf(q, "until"); err != nil {
		return err
	}
	limit, err := intOf(q, "limit", 1, 1000)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = 100
	}
	f.Limit = limit + 1
	runs := s.keeper.Runs(f)
	out := api.Runs{Runs: make([]api.Run, 0, len(runs))}
	if len(runs) > limit {
		runs = runs[:limit]
		out.Next = runs[limit-1].ID
	}
	for i := range runs {
		out.Runs = append(out.Runs, runOf(&runs[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) runSchedule(w http.ResponseWriter, r *http.Request, who *who) error {
	k, err := s.scheduleFor(r, who, true)
	if err != nil {
		return err
	}
	var in api.RunRequest
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	var at time.Time
	if in.Scheduled != nil {
		at = *in.Scheduled
	}
	run, err := s.keeper.Trigger(r.Context(), k.Name, at, who.Owner)
	if err != nil {
		return scheduleFault(err, "schedule", k.Name)
	}
	out := runOf(&run)
	w.Header().Set("Location", "/v1/runs/"+run.ID)
	return writeJSON(w, http.StatusCreated, &out)
}

// pauseOrResume answers with the schedule as it is then.
func (s *Server) pauseOrResume(do func(context.Context, string, string) error, w http.ResponseWriter, r *http.Request, who *who) error {
	k, err := s.scheduleFor(r, who, true)
	if err != nil {
		return err
	}
	if err := do(r.Context(), k.Name, who.Owner); err != nil {
		return scheduleFault(err, "schedule", k.Name)
	}
	return s.getSchedule(w, r, who)
}

func (s *Server) pauseSchedule(w http.ResponseWriter, r *http.Request, who *who) error {
	return s.pauseOrResume(s.keeper.Pause, w, r, who)
}

func (s *Server) resumeSchedule(w http.ResponseWriter, r *http.Request, who *who) error {
	return s.pauseOrResume(s.keeper.Resume, w, r, who)
}

func (s *Server) backfillSchedule(w http.ResponseWriter, r *http.Request, who *who) error {
	k, err := s.scheduleFor(r, who, true)
	if err != nil {
		return err
	}
	var in api.BackfillRequest
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	zone, err := schedule.Zone(k.Timing.TimeZone)
	if err != nil {
		return err
	}
	var span [2]time.Time
	for i, text := range []string{in.From, in.To} {
		field := []string{"from", "to"}[i]
		if span[i], err = schedule.Instant(text).In(zone); err != nil {
			return invalidField(field, err.Error())
		}
		if span[i].IsZero() {
			return invalidField(field, "is missing: a date such as 2026-03-01, or a time")
		}
	}
	if !span[0].Before(span[1]) {
		return invalidField("to", "must be after from")
	}
	g, err := s.keeper.Backfill(r.Context(), k.Name, span[0], span[1], who.Owner)
	if err != nil {
		return scheduleFault(err, "schedule", k.Name)
	}
	out := backfillOf(&g)
	return writeJSON(w, http.StatusCreated, &out)
}

// runFor is the run in the path, where who asks may see it; or change it.
func (s *Server) runFor(r *http.Request, who *who, change bool) (*schedule.Run, error) {
	id := strings.ToLower(r.PathValue("id"))
	run, err := s.keeper.Run(r.Context(), id)
	if err == nil {
		_, err = s.scheduleNamed(run.Schedule, who, change)
		var f *api.Fault
		if errors.As(err, &f) && f.Status == http.StatusNotFound {
			err = keeper.ErrMissing
		}
	}
	if err != nil {
		return nil, scheduleFault(err, "run", strconv.Quote(id))
	}
	return &run, nil
}

func (s *Server) getRun(w http.ResponseWriter, r *http.Request, who *who) error {
	run, err := s.runFor(r, who, false)
	if err != nil {
		return err
	}
	out := runOf(run)
	return writeJSON(w, 200, &out)
}

func (s *Server) getRunLog(w http.ResponseWriter, r *http.Request, who *who) error {
	run, err := s.runFor(r, who, false)
	if err != nil {
		return err
	}
	return s.writeLog(w, r, who, func(ctx context.Context, after uint64, follow bool, f func(uint64, time.Time, []byte) error) error {
		return s.keeper.Log(ctx, run.ID, after, follow, f)
	})
}

func (s *Server) cancelRun(w http.ResponseWriter, r *http.Request, who *who) error {
	id := strings.ToLower(r.PathValue("id"))
	name, ok := s.keeper.ScheduleOf(id)
	if !ok {
		return scheduleFault(keeper.ErrMissing, "run", strconv.Quote(id))
	}
	if _, err := s.scheduleNamed(name, who, true); err != nil {
		return err
	}
	if err := s.keeper.Cancel(r.Context(), id, who.Owner); err != nil {
		return scheduleFault(err, "run", strconv.Quote(id))
	}
	out := api.Outcome{ID: id, OK: true}
	if run, err := s.keeper.Run(r.Context(), id); err == nil {
		out.State = string(run.State)
	}
	return writeJSON(w, 200, &out)
}
