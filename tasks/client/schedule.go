package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// Schedules are all schedules that one may see.
func (c *Client) Schedules(ctx context.Context) (*api.Schedules, error) {
	return get[api.Schedules](ctx, c, "/v1/schedules", nil)
}

// Schedule is a schedule.
func (c *Client) Schedule(ctx context.Context, name string) (*api.Schedule, error) {
	return get[api.Schedule](ctx, c, at("schedules", name), nil)
}

// NextTimes are the next n times of a schedule.
func (c *Client) NextTimes(ctx context.Context, name string, n int) (*api.Times, error) {
	return get[api.Times](ctx, c, at("schedules", name, "next"), url.Values{"n": {strconv.Itoa(n)}})
}

// PauseSchedule has nothing of a schedule due.
func (c *Client) PauseSchedule(ctx context.Context, name string) (*api.Schedule, error) {
	return post[api.Schedule](ctx, c, at("schedules", name, "pause"), nil, false)
}

// ResumeSchedule ends the pause of a schedule.
func (c *Client) ResumeSchedule(ctx context.Context, name string) (*api.Schedule, error) {
	return post[api.Schedule](ctx, c, at("schedules", name, "resume"), nil, false)
}

// RunSchedule runs a schedule now.
func (c *Client) RunSchedule(ctx context.Context, name string, r api.RunRequest) (*api.Run, error) {
	return post[api.Run](ctx, c, at("schedules", name, "run"), &r, true)
}

// BackfillSchedule runs a schedule for its times of a range.
func (c *Client) BackfillSchedule(ctx context.Context, name string, r api.BackfillRequest) (*api.Backfill, error) {
	return post[api.Backfill](ctx, c, at("schedules", name, "backfill"), &r, true)
}

// Runs lists runs of schedules; q has the parameters of GET /v1/runs.
func (c *Client) Runs(ctx context.Context, q url.Values) (*api.Runs, error) {
	return get[api.Runs](ctx, c, "/v1/runs", q)
}

// Run is a run of a schedule.
func (c *Client) Run(ctx context.Context, id string) (*api.Run, error) {
	return get[api.Run](ctx, c, at("runs", id), nil)
}

// CancelRun ends a run, or a backfill.
func (c *Client) CancelRun(ctx context.Context, id string) (*api.Outcome, error) {
	return post[api.Outcome](ctx, c, at("runs", id, "cancel"), nil, false)
}

// RunLog is as Log, for a run of a schedule.
func (c *Client) RunLog(ctx context.Context, id string, after uint64, follow bool, fn func(*api.LogLine) error) error {
	return c.lines(ctx, at("runs", id, "log"), after, follow, fn)
}
