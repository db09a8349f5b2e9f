package client

import (
	"bufio"
	"bytes"
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

// Log gives fn the lines that a task printed, those after a number; with follow also
// those to come, until the task has ended.
func (c *Client) Log(ctx context.Context, id string, after uint64, follow bool, fn func(*api.LogLine) error) error {
	return c.lines(ctx, at("tasks", id, "log"), after, follow, fn)
}

// WorkerLog gives fn the lines of a worker's log, as Log does.
func (c *Client) WorkerLog(ctx context.Context, id string, after uint64, follow bool, fn func(*api.LogLine) error) error {
	return c.lines(ctx, at("workers", id, "log"), after, follow, fn)
}

func (c *Client) lines(ctx context.Context, path string, after uint64, follow bool, fn func(*api.LogLine) error) error {
	if !follow {
		q := url.Values{"after": {strconv.FormatUint(after, 10)}}
		resp, err := c.do(ctx, request{method: http.MethodGet, path: path, query: q, accept: api.Lines})
		if err != nil {
			return err
		}
		return eachLine(resp.Body, fn)
	}
	// As events, since those show that the server is alive while nothing is printed.
	q := url.Values{"follow": {"true"}}
	return c.events(ctx, path, q, strconv.FormatUint(after, 10), func(e *event) error {
		if e.kind != "log" {
			return nil
		}
		var line api.LogLine
		if err := json.Unmarshal(e.data, &line); err != nil {
			return fmt.Errorf("the answer of the task server: %w", err)
		}
		return fn(&line)
	})
}

// Events gives fn what happens to a task or a job (its id), to a queue ("queues/NAME"),
// or, with "", to all tasks that the user may see. Of a task or job it ends when that has
// ended. It connects again where the connection breaks; an event of type gap says that
// something may have been missed.
func (c *Client) Events(ctx context.Context, of string, fn func(*api.Event) error) error {
	path, q := "/v1/events", url.Values{}
	switch name, queue := strings.CutPrefix(of, "queues/"); {
	case of == "":
	case queue:
		path = at("queues", name, "events")
	case strings.Contains(of, "."):
		path = at("tasks", of, "events")
		q.Set("log", "true")
	default:
		path = at("jobs", of, "events")
		q.Set("log", "true")
	}
	return c.events(ctx, path, q, "", func(e *event) error {
		out := api.Event{ID: e.id}
		if err := json.Unmarshal(e.data, &out); err != nil {
			return fmt.Errorf("the answer of the task server: %w", err)
		}
		return fn(&out)
	})
}

// event is a server-sent event.
type event struct {
	id, kind string
	data     []byte
}

// silence is how long a stream may be without a sign of life: the server gives one every
// 15 seconds.
const silence = time.Minute

// events reads a stream of events to its end, over as many connections as it takes.
func (c *Client) events(ctx context.Context, path string, q url.Values, last string, fn func(*event) error) error {
	broken := 0
	for {
		header := http.Header{}
		if last != "" {
			header.Set("Last-Event-ID", last)
		}
		resp, err := c.do(ctx, request{method: http.MethodGet, path: path, query: q, accept: api.Stream, header: header, waits: true})
		if err != nil {
			return err
		}
		end := false
		err = c.eachEvent(resp.Body, func(e *event) error {
			broken = 0
			if e.id != "" {
				last = e.id
			}
			end = end || e.kind == "end"
			return fn(e)
		})
		switch {
		case end && errors.Is(err, errBroken):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !errors.Is(err, errBroken):
			return err
		case broken >= c.options.Retries:
			return fmt.Errorf("%s: %w", c.base, errBroken)
		}
		broken++
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// eachEvent reads the events of one answer, and closes it.
func (c *Client) eachEvent(body io.ReadCloser, fn func(*event) error) error {
	defer body.Close()
	dead := time.AfterFunc(silence, func() { body.Close() })
	defer dead.Stop()
	r := bufio.NewReaderSize(body, 64<<10)
	var e event
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		dead.Reset(silence)
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if len(e.data) > 0 {
				if err := fn(&e); err != nil {
					return err
				}
			}
			e = event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			e.id = string(value)
		case "event":
			e.kind = string(value)
		case "data":
			if e.data != nil {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
		}
	}
}
