package store

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Stat looks at an object.
func (c *Client) Stat(ctx context.Context, l Location) (Object, error) {
	o, _, err := c.head(ctx, l)
	return o, c.failed("look at", l, err)
}

// head is Stat with the token that Complete knows its own objects by.
func (c *Client) head(ctx context.Context, l Location) (o Object, token string, err error) {
	api, err := c.connect(ctx)
	if err != nil {
		return Object{}, "", err
	}
	out, err := api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &l.Bucket, Key: &l.Key})
	if err != nil {
		return Object{}, "", err
	}
	o = Object{Location: l, Size: aws.ToInt64(out.ContentLength), ETag: quoted(aws.ToString(out.ETag)), Modified: aws.ToTime(out.LastModified)}
	return o, out.Metadata[tokenKey], nil
}

// Open streams an object from offset on. A broken connection is taken up again
// where it broke; an object that changes meanwhile is an error. An Object that
// has no ETag is taken as it is found.
func (c *Client) Open(ctx context.Context, o Object, offset int64) (io.ReadCloser, error) {
	if o.ETag != "" && offset >= o.Size {
		if offset > o.Size {
			return nil, &Error{Op: "read", URL: o.String(), Err: fmt.Errorf("it has %d bytes, and byte %d was asked for", o.Size, offset)}
		}
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	s := &stream{c: c, ctx: ctx, o: o, next: offset, end: -1}
	if o.ETag != "" {
		s.end = o.Size
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// ReaderAt reads ranges of an object, each a request. An object that changes is an error.
func (c *Client) ReaderAt(ctx context.Context, o Object) io.ReaderAt {
	return &ranges{c: c, ctx: ctx, o: o}
}

type ranges struct {
	c   *Client
	ctx context.Context
	o   Object
}

func (r *ranges) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, &Error{Op: "read", URL: r.o.String(), Err: fmt.Errorf("offset %d is negative", offset)}
	}
	end := min(offset+int64(len(p)), r.o.Size)
	if offset >= end {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	s := &stream{c: r.c, ctx: r.ctx, o: r.o, next: offset, end: end, part: true}
	defer s.Close()
	n, err := io.ReadFull(s, p[:end-offset])
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Get reads a small object of at most limit bytes whole.
func (c *Client) Get(ctx context.Context, l Location, limit int64) ([]byte, Object, error) {
	s := &stream{c: c, ctx: ctx, o: Object{Location: l}, end: -1}
	if err := s.open(); err != nil {
		return nil, Object{}, err
	}
	defer s.Close()
	if s.end > limit {
		return nil, Object{}, &Error{Op: "read", URL: l.String(), Err: fmt.Errorf("it has %d bytes, and at most %d were expected", s.end, limit)}
	}
	data := make([]byte, s.end)
	if _, err := io.ReadFull(s, data); err != nil {
		return nil, Object{}, err
	}
	return data, s.o, nil
}
