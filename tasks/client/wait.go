package client

import (
	"context"
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// askFor is how long one request waits; the server may have less patience.
const askFor = 50 * time.Second

// Wait waits until what w says has come, for as long as ctx lasts or w.Timeout, nil for no
// limit: it asks again while the server answers that it has not. Where the time is over,
// the result's Done is false.
func (c *Client) Wait(ctx context.Context, w api.WaitRequest) (*api.WaitResult, error) {
	var until time.Time
	if w.Timeout != nil {
		until = time.Now().Add(time.Duration(*w.Timeout))
	}
	for {
		ask := askFor
		if !until.IsZero() {
			ask = min(ask, max(time.Until(until), 0))
		}
		w.Timeout = api.For(ask)
		body, err := document(&w)
		if err != nil {
			return nil, err
		}
		result, err := answer[api.WaitResult](c.do(ctx, request{
			method: http.MethodPost, path: "/v1/wait", body: body, contentType: api.JSON, accept: api.JSON, long: ask, waits: true,
		}))
		if err != nil || result.Done || !until.IsZero() && !time.Now().Before(until) {
			return result, err
		}
	}
}
