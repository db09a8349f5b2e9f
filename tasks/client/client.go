// Package client asks a task server, rpipe serve, by its REST API. rpipe task, pipelines
// whose map runs on a queue, and launchers are its users.
//
// Start with Find, which takes the server of RPIPE_URL or the one of this user on this
// machine, or with New. What may be asked twice is asked again where the connection
// breaks: reads, and submissions, since the client makes their ids. A Client is safe for
// concurrent use.
package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// Options say where the server is and how to speak to it.
type Options struct {
	URL     string        // such as http://127.0.0.1:7033
	Token   string        // "" for none, as on loopback
	CA      string        // file with authorities in PEM, beside the system's; "" for none
	Cert    string        // file with a certificate of the client, and Key its key; "" for none
	Key     string        //
	Retries int           // tries after the first where the connection breaks; 0 is 5, -1 none
	Timeout time.Duration // for the head of an answer, waiting requests apart; 0 is a minute
	Log     *slog.Logger  // hears of tries; nil discards
	Agent   string        // User-Agent; "" is rpipe
}

// Client asks one server.
type Client struct {
	options Options
	base    string
	http    *http.Client
	log     *slog.Logger
}

// ErrNoServer says that none was found on this machine.
var ErrNoServer = errors.New("no task server is known: start one with rpipe serve, or say where it is with RPIPE_URL")

// Find is the client of the server that o.URL names, or RPIPE_URL with RPIPE_TOKEN and
// RPIPE_CA, or the one that this user runs on this machine.
func Find(o Options) (*Client, error) { return nil, ErrNoServer }

// New is the client of a server. Nothing is asked yet.
func New(o Options) (*Client, error) { return nil, ErrNoServer }

// URL is where the server is.
func (c *Client) URL() string { return c.base }

// Filter chooses jobs or tasks. Zero fields choose all.
type Filter struct {
	Owner  string // for who may read everybody's
	Job    string
	Name   string
	Queue  string
	Worker string
	States []string
	Labels map[string]string
	Since  time.Time // submitted then or later
	Until  time.Time // submitted before
	Text   string    // in name, labels or error message
	Limit  int       // of a page; 0 is 100
	After  string    // Next of the page before
	Oldest bool      // the oldest first
}

// Submit submits a job. Values of more than a few hundred KiB are put first, and the id
// is made here where s has none, so that a broken connection never submits twice.
func (c *Client) Submit(ctx context.Context, s *api.Submission) (*api.Job, error) { return nil, nil }

// SubmitR submits what R's serialize() made of a list of the fields of api.Submission.
func (c *Client) SubmitR(ctx context.Context, body io.Reader) (*api.Job, error) { return nil, nil }

// PutValue stores R's serialization of a value, and returns its reference.
func (c *Client) PutValue(ctx context.Context, r io.Reader) (*api.Stored, error) { return nil, nil }

// Value opens a stored value.
func (c *Client) Value(ctx context.Context, ref string) (io.ReadCloser, error) { return nil, nil }

// Result opens R's serialization of the value of a COMPLETE task. A *api.Fault with
// code not_complete says that there is none, and why.
func (c *Client) Result(ctx context.Context, id string) (io.ReadCloser, error) { return nil, nil }

// Results gives fn the results of a job as they are now, in order of their numbers, from
// number from (1 is the first): at most limit of them, 0 for all. Values are JSON.
func (c *Client) Results(ctx context.Context, job string, from, limit int, fn func(*api.Result) error) error {
	return nil
}

// Wait waits until what w says has come, for as long as ctx lasts or w.Timeout, 0 for no
// limit: it asks again while the server answers that it has not.
func (c *Client) Wait(ctx context.Context, w api.WaitRequest) (*api.WaitResult, error) {
	return nil, nil
}

// Job, Task and their lists.
func (c *Client) Job(ctx context.Context, id string) (*api.Job, error)      { return nil, nil }
func (c *Client) Task(ctx context.Context, id string) (*api.Task, error)    { return nil, nil }
func (c *Client) Jobs(ctx context.Context, f Filter) (*api.Jobs, error)     { return nil, nil }
func (c *Client) Tasks(ctx context.Context, f Filter) (*api.Tasks, error)   { return nil, nil }
func (c *Client) Counts(ctx context.Context, f Filter) (*api.Counts, error) { return nil, nil }
func (c *Client) Progress(ctx context.Context, id string) (*api.Progress, error) {
	return nil, nil
}

// Cancel, Retry, Resume and Delete deal with tasks, or with all of those of jobs.
func (c *Client) Cancel(ctx context.Context, ids ...string) (*api.Outcomes, error) { return nil, nil }
func (c *Client) Delete(ctx context.Context, ids ...string) (*api.Outcomes, error) { return nil, nil }
func (c *Client) Retry(ctx context.Context, r api.RetryRequest) (*api.Outcomes, error) {
	return nil, nil
}
func (c *Client) Resume(ctx context.Context, job string) (*api.Outcomes, error) { return nil, nil }

// Log gives fn the lines that a task printed, those after a number; with follow also
// those to come, until the task has ended.
func (c *Client) Log(ctx context.Context, id string, after uint64, follow bool, fn func(*api.LogLine) error) error {
	return nil
}

// Events gives fn what happens to a task, a job, a queue ("queues/NAME"), or, with "",
// to all of the user's tasks. It connects again where the connection breaks.
func (c *Client) Events(ctx context.Context, of string, fn func(*api.Event) error) error { return nil }

// Download writes the zip of a job's results to w.
func (c *Client) Download(ctx context.Context, job string, w io.Writer) error { return nil }

// Queues and their settings.
func (c *Client) Queues(ctx context.Context) (*api.Queues, error)            { return nil, nil }
func (c *Client) Queue(ctx context.Context, name string) (*api.Queue, error) { return nil, nil }
func (c *Client) SetQueue(ctx context.Context, name string, s api.QueueSettings) (*api.Queue, error) {
	return nil, nil
}
func (c *Client) PauseQueue(ctx context.Context, name string) error  { return nil }
func (c *Client) ResumeQueue(ctx context.Context, name string) error { return nil }
func (c *Client) PurgeQueue(ctx context.Context, name string) (*api.Purged, error) {
	return nil, nil
}

// Workers, and what they are told.
func (c *Client) Workers(ctx context.Context) (*api.Workers, error)          { return nil, nil }
func (c *Client) Worker(ctx context.Context, id string) (*api.Worker, error) { return nil, nil }
func (c *Client) Message(ctx context.Context, worker string, m api.Message) ([]byte, error) {
	return nil, nil
}
func (c *Client) WorkerLog(ctx context.Context, id string, after uint64, follow bool, fn func(*api.LogLine) error) error {
	return nil
}

// Environments, worker configurations and owners.
func (c *Client) Environments(ctx context.Context) (*api.Environments, error) { return nil, nil }
func (c *Client) Environment(ctx context.Context, name string) (*api.Environment, error) {
	return nil, nil
}
func (c *Client) SetEnvironment(ctx context.Context, name string, e *api.Environment) (*api.Environment, error) {
	return nil, nil
}
func (c *Client) WorkerConfigs(ctx context.Context) (*api.WorkerConfigs, error) { return nil, nil }
func (c *Client) SetWorkerConfig(ctx context.Context, name string, w *api.WorkerConfig) error {
	return nil
}
func (c *Client) Owner(ctx context.Context, name string) (*api.Owner, error) { return nil, nil }
func (c *Client) SetOwner(ctx context.Context, name string, s api.OwnerSettings) (*api.Owner, error) {
	return nil, nil
}

// Info is what the server says of itself.
func (c *Client) Info(ctx context.Context) (*api.Info, error) { return nil, nil }

// Backup copies the store into a new directory on the server's machine.
func (c *Client) Backup(ctx context.Context, dir string) (*api.Backup, error) { return nil, nil }
