package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/oklog/ulid/v2"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// maxSent is how many bytes of a value go with a submission. Larger ones are put before.
const maxSent = 256 << 10

// Submit submits a job. Values of more than a few hundred KiB are put first, and the id
// is made here where s has none, so that a broken connection never submits twice.
func (c *Client) Submit(ctx context.Context, s *api.Submission) (*api.Job, error) {
	in := *s
	if in.ID == "" && in.Key == "" {
		in.ID = NewID()
	}
	stored := func(v *api.Value) error {
		if v == nil || len(v.R) <= maxSent {
			return nil
		}
		got, err := c.PutValue(ctx, bytes.NewReader(v.R))
		if err != nil {
			return err
		}
		*v = api.Value{Ref: got.Ref}
		return nil
	}
	in.Args = append(api.Args(nil), s.Args...)
	values := make([]*api.Value, 0, len(in.Args)+3)
	for i := range in.Args {
		values = append(values, &in.Args[i].Value)
	}
	for _, at := range []**api.Value{&in.Fun, &in.Expr, &in.Over} {
		if *at != nil {
			own := **at
			*at = &own
			values = append(values, &own)
		}
	}
	for _, v := range values {
		if err := stored(v); err != nil {
			return nil, fmt.Errorf("put a value: %w", err)
		}
	}
	return post[api.Job](ctx, c, "/v1/jobs", &in, false)
}

// NewID is the id of a job: one that nobody else has made.
func NewID() string { return lower(ulid.Make().String()) }

func lower(s string) string { return string(bytes.ToLower([]byte(s))) }

// SubmitR submits what R's serialize() made of a list of the fields of api.Submission.
// It is sent once, unless body can be read from its beginning again and the list has a
// key or id: then the caller may call again.
func (c *Client) SubmitR(ctx context.Context, body io.Reader) (*api.Job, error) {
	return answer[api.Job](c.do(ctx, request{
		method: http.MethodPost, path: "/v1/jobs", contentType: api.R, accept: api.JSON, once: true, body: again(body),
	}))
}

// PutValue stores R's serialization of a value, and returns its reference.
func (c *Client) PutValue(ctx context.Context, r io.Reader) (*api.Stored, error) {
	return c.putValue(ctx, r, api.R)
}

// PutText stores the text of an R file, for the sources of an environment.
func (c *Client) PutText(ctx context.Context, r io.Reader) (*api.Stored, error) {
	return c.putValue(ctx, r, api.Bytes)
}

func (c *Client) putValue(ctx context.Context, r io.Reader, contentType string) (*api.Stored, error) {
	return answer[api.Stored](c.do(ctx, request{method: http.MethodPut, path: "/v1/values", contentType: contentType, accept: api.JSON, body: again(r)}))
}

var errSent = errors.New("the connection broke while a body was sent that cannot be read again")

// again reads a body from its beginning for each try, where that can be done.
func again(r io.Reader) func() (io.Reader, int64, error) {
	sent := false
	return func() (io.Reader, int64, error) {
		seeker, ok := r.(io.Seeker)
		if !ok {
			if sent {
				return nil, 0, errSent
			}
			sent = true
			return io.NopCloser(r), -1, nil
		}
		size, err := seeker.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = seeker.Seek(0, io.SeekStart)
		}
		return io.NopCloser(r), size, err
	}
}
