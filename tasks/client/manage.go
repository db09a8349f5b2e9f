package client

import (
	"context"
	"encoding/json"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// Cancel ends tasks, or all tasks of jobs, that have not ended.
func (c *Client) Cancel(ctx context.Context, ids ...string) (*api.Outcomes, error) {
	return post[api.Outcomes](ctx, c, "/v1/cancel", &api.IDs{IDs: ids}, false)
}

// Delete removes tasks, or jobs with all of theirs, that do not run.
func (c *Client) Delete(ctx context.Context, ids ...string) (*api.Outcomes, error) {
	return post[api.Outcomes](ctx, c, "/v1/delete", &api.IDs{IDs: ids}, false)
}

// Retry tries tasks again, or those of jobs that have failed. A task that was retried
// before answers with its successor, so it may be asked twice.
func (c *Client) Retry(ctx context.Context, r api.RetryRequest) (*api.Outcomes, error) {
	return post[api.Outcomes](ctx, c, "/v1/retry", &r, false)
}

// Resume tries again those tasks of a job that have ended without a value.
func (c *Client) Resume(ctx context.Context, job string) (*api.Outcomes, error) {
	one, err := post[api.Outcome](ctx, c, at("jobs", job, "resume"), nil, false)
	if err != nil {
		return nil, err
	}
	return &api.Outcomes{Outcomes: []api.Outcome{*one}}, nil
}

// Queues are all queues.
func (c *Client) Queues(ctx context.Context) (*api.Queues, error) {
	return get[api.Queues](ctx, c, "/v1/queues", nil)
}

// Queue is a queue.
func (c *Client) Queue(ctx context.Context, name string) (*api.Queue, error) {
	return get[api.Queue](ctx, c, at("queues", name), nil)
}

// SetQueue changes those settings of a queue that s has.
func (c *Client) SetQueue(ctx context.Context, name string, s api.QueueSettings) (*api.Queue, error) {
	return put[api.Queue](ctx, c, at("queues", name), &s)
}

// PauseQueue has nothing of a queue begun any more.
func (c *Client) PauseQueue(ctx context.Context, name string) error {
	_, err := post[api.Queue](ctx, c, at("queues", name, "pause"), nil, false)
	return err
}

// ResumeQueue has tasks of a queue begun again.
func (c *Client) ResumeQueue(ctx context.Context, name string) error {
	_, err := post[api.Queue](ctx, c, at("queues", name, "resume"), nil, false)
	return err
}

// PurgeQueue cancels what waits in a queue.
func (c *Client) PurgeQueue(ctx context.Context, name string) (*api.Purged, error) {
	return post[api.Purged](ctx, c, at("queues", name, "purge"), nil, false)
}

// Workers are those that are alive, and those that were lost with tasks.
func (c *Client) Workers(ctx context.Context) (*api.Workers, error) {
	return get[api.Workers](ctx, c, "/v1/workers", nil)
}

// Worker is a worker.
func (c *Client) Worker(ctx context.Context, id string) (*api.Worker, error) {
	return get[api.Worker](ctx, c, at("workers", id), nil)
}

// Message tells a worker something, and returns its answer: JSON, by the type.
func (c *Client) Message(ctx context.Context, worker string, m api.Message) ([]byte, error) {
	raw, err := post[json.RawMessage](ctx, c, at("workers", worker, "messages"), &m, m.Type == "eval")
	if err != nil {
		return nil, err
	}
	return *raw, nil
}

// Environments are all environments, of their newest versions.
func (c *Client) Environments(ctx context.Context) (*api.Environments, error) {
	return get[api.Environments](ctx, c, "/v1/environments", nil)
}

// Environment is one, of the newest version, or that of name@version.
func (c *Client) Environment(ctx context.Context, name string) (*api.Environment, error) {
	return get[api.Environment](ctx, c, at("environments", name), nil)
}

// SetEnvironment makes the next version of an environment; what is the same makes none.
func (c *Client) SetEnvironment(ctx context.Context, name string, e *api.Environment) (*api.Environment, error) {
	return put[api.Environment](ctx, c, at("environments", name), e)
}

// DeleteEnvironment removes all versions of an environment.
func (c *Client) DeleteEnvironment(ctx context.Context, name string) error {
	return remove(ctx, c, at("environments", name))
}

// WorkerConfigs are all worker configurations.
func (c *Client) WorkerConfigs(ctx context.Context) (*api.WorkerConfigs, error) {
	return get[api.WorkerConfigs](ctx, c, "/v1/worker-configs", nil)
}

// SetWorkerConfig sets a worker configuration.
func (c *Client) SetWorkerConfig(ctx context.Context, name string, w *api.WorkerConfig) error {
	_, err := put[api.WorkerConfig](ctx, c, at("worker-configs", name), w)
	return err
}

// WorkerConfig is a worker configuration.
func (c *Client) WorkerConfig(ctx context.Context, name string) (*api.WorkerConfig, error) {
	return get[api.WorkerConfig](ctx, c, at("worker-configs", name), nil)
}

// DeleteWorkerConfig removes a worker configuration.
func (c *Client) DeleteWorkerConfig(ctx context.Context, name string) error {
	return remove(ctx, c, at("worker-configs", name))
}

// Owners are those that the asker may see: himself, or all who have tasks or limits.
func (c *Client) Owners(ctx context.Context) (*api.Owners, error) {
	return get[api.Owners](ctx, c, "/v1/owners", nil)
}

// Owner is an owner's limits, and what there is.
func (c *Client) Owner(ctx context.Context, name string) (*api.Owner, error) {
	return get[api.Owner](ctx, c, at("owners", name), nil)
}

// SetOwner changes those limits of an owner that s has.
func (c *Client) SetOwner(ctx context.Context, name string, s api.OwnerSettings) (*api.Owner, error) {
	return put[api.Owner](ctx, c, at("owners", name), &s)
}

// Info is what the server says of itself.
func (c *Client) Info(ctx context.Context) (*api.Info, error) {
	return get[api.Info](ctx, c, "/v1/info", nil)
}

// Backup copies the store into a new directory on the server's machine.
func (c *Client) Backup(ctx context.Context, dir string) (*api.Backup, error) {
	return post[api.Backup](ctx, c, "/v1/backup", &api.BackupRequest{Dir: dir}, true)
}
