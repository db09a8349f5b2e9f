package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

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

func (f *Filter) query(paged bool) url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("owner", f.Owner)
	set("job", f.Job)
	set("name", f.Name)
	set("queue", f.Queue)
	set("worker", f.Worker)
	set("text", f.Text)
	set("state", strings.Join(f.States, ","))
	for name, value := range f.Labels {
		q.Add("label", name+"="+value)
	}
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if paged {
		set("after", f.After)
		if f.Limit > 0 {
			q.Set("limit", strconv.Itoa(f.Limit))
		}
		if f.Oldest {
			q.Set("order", "oldest")
		}
	}
	return q
}

func at(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/v1/" + strings.Join(parts, "/")
}

// Job is a job, with its tasks counted by state.
func (c *Client) Job(ctx context.Context, id string) (*api.Job, error) {
	return get[api.Job](ctx, c, at("jobs", id), nil)
}

// Jobs is a page of jobs. Filter.Job and Worker are of tasks.
func (c *Client) Jobs(ctx context.Context, f Filter) (*api.Jobs, error) {
	f.Job, f.Worker = "", ""
	return get[api.Jobs](ctx, c, "/v1/jobs", f.query(true))
}

// Task is a task.
func (c *Client) Task(ctx context.Context, id string) (*api.Task, error) {
	return get[api.Task](ctx, c, at("tasks", id), nil)
}

// Tasks is a page of tasks.
func (c *Client) Tasks(ctx context.Context, f Filter) (*api.Tasks, error) {
	return get[api.Tasks](ctx, c, "/v1/tasks", f.query(true))
}

// Counts is how many tasks there are by state.
func (c *Client) Counts(ctx context.Context, f Filter) (*api.Counts, error) {
	f.Worker = ""
	return get[api.Counts](ctx, c, "/v1/counts", f.query(false))
}

// Progress is the last that a task told of itself.
func (c *Client) Progress(ctx context.Context, id string) (*api.Progress, error) {
	return get[api.Progress](ctx, c, at("tasks", id, "progress"), nil)
}

// Result opens R's serialization of the value of a COMPLETE task. A *api.Fault with
// code not_complete says that it has not ended, failed that it has no value, and why.
func (c *Client) Result(ctx context.Context, id string) (io.ReadCloser, error) {
	return c.open(ctx, at("tasks", id, "result"), api.R)
}

// ResultJSON is the value of a COMPLETE task as JSON.
func (c *Client) ResultJSON(ctx context.Context, id string) (json.RawMessage, error) {
	body, err := c.open(ctx, at("tasks", id, "result"), api.JSON)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return text, err
}

// Value opens a stored value.
func (c *Client) Value(ctx context.Context, ref string) (io.ReadCloser, error) {
	return c.open(ctx, at("values", ref), "")
}

func (c *Client) open(ctx context.Context, path, accept string) (io.ReadCloser, error) {
	resp, err := c.do(ctx, request{method: http.MethodGet, path: path, accept: accept})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Results gives fn the results of a job as they are now, in order of their numbers, from
// number from (1 is the first): those among limit numbers, 0 for all, whose tasks have
// ended. Values are JSON. After a broken connection it goes on where it was.
func (c *Client) Results(ctx context.Context, job string, from, limit int, fn func(*api.Result) error) error {
	from = max(from, 1)
	last := 0
	if limit > 0 {
		last = from + limit - 1
	}
	for broken := 0; ; {
		q := url.Values{"from": {strconv.Itoa(from)}}
		if last > 0 {
			q.Set("limit", strconv.Itoa(last-from+1))
		}
		resp, err := c.do(ctx, request{method: http.MethodGet, path: at("jobs", job, "results"), query: q, accept: api.Lines})
		if err != nil {
			return err
		}
		err = eachLine(resp.Body, func(r *api.Result) error {
			from, broken = r.N+1, 0
			return fn(r)
		})
		if err == nil || !errors.Is(err, errBroken) || ctx.Err() != nil || broken >= c.options.Retries {
			return err
		}
		if last > 0 && from > last {
			return nil
		}
		broken++
	}
}

// Download writes the zip of a job's results to w.
func (c *Client) Download(ctx context.Context, job string, w io.Writer) error {
	body, err := c.open(ctx, at("jobs", job, "download"), "")
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return nil
}

// errBroken says that an answer broke off.
var errBroken = errors.New("the answer of the task server broke off")

// eachLine decodes the documents of an answer, and closes it.
func eachLine[T any](body io.ReadCloser, fn func(*T) error) error {
	defer body.Close()
	r := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		one := new(T)
		if err := json.Unmarshal(line, one); err != nil {
			return fmt.Errorf("the answer of the task server: %w", err)
		}
		if err := fn(one); err != nil {
			return err
		}
	}
}
