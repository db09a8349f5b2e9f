package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// stream reads bytes next to end of an object, over as many requests as it takes.
type stream struct {
	c    *Client
	ctx  context.Context
	o    Object // without an ETag, the first answer says which object it is
	next int64
	end  int64 // -1 before the first answer, where the size is not known
	part bool  // end is not the object's

	body   io.ReadCloser // nil between requests
	broken int           // requests that ended without a byte, one after the other
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if s.next == s.end && s.body == nil {
			return 0, io.EOF
		}
		if s.body == nil {
			if err := s.open(); err != nil {
				return 0, err
			}
		}
		n, err := s.body.Read(p[:min(int64(len(p)), max(s.end-s.next, 1))])
		if int64(n) > s.end-s.next {
			return 0, &Error{Op: "read", URL: s.o.String(), Err: errors.New("the server sent more than was asked for")}
		}
		s.next += int64(n)
		if n > 0 {
			s.broken = 0
		}
		if err != nil {
			s.Close()
			if err = s.ended(err); err != nil {
				return 0, err // io.ReadFull passes over an error that comes with the last byte
			}
		}
		if n > 0 {
			return n, nil
		}
	}
}

// ended judges the end of one answer; nil means that the stream goes on.
func (s *stream) ended(err error) error {
	switch {
	case s.next == s.end && errors.Is(err, io.EOF):
		return nil
	case s.ctx.Err() != nil:
		return s.c.failed("read", s.o.Location, s.ctx.Err())
	case s.next == s.end: // all bytes came, and are wrong
		return s.c.failed("read", s.o.Location, err)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	s.broken++
	if s.broken >= s.c.config.MaxAttempts {
		return &Error{Op: "read", URL: s.o.String(), Err: fmt.Errorf("the connection broke %d times at byte %d: %w", s.broken, s.next, err)}
	}
	return s.c.pause(s.ctx, s.broken-1)
}

// open asks for what is left.
func (s *stream) open() error {
	api, err := s.c.connect(s.ctx)
	if err != nil {
		return s.c.failed("read", s.o.Location, err)
	}
	in := &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: &s.o.Key}
	if s.o.ETag != "" {
		in.IfMatch = &s.o.ETag
	}
	switch {
	case s.part:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", s.next, s.end-1))
	case s.next > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", s.next))
	}
	var out *s3.GetObjectOutput
	err = s.c.checked(func(crc bool) error {
		out, err = api.GetObject(s.ctx, in, func(o *s3.Options) {
			if !crc {
				o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
			}
		})
		return err
	})
	if err != nil {
		err = s.c.failed("read", s.o.Location, err)
		if in.IfMatch != nil && errors.Is(err, ErrConflict) {
			return &Error{Op: "read", URL: s.o.String(), Err: fmt.Errorf("it was replaced while it was read: %w", ErrConflict)}
		}
		return err
	}
	if in.Range != nil && out.ContentRange == nil {
		out.Body.Close()
		return &Error{Op: "read", URL: s.o.String(), Err: errors.New("the server does not answer ranges")}
	}
	if s.end < 0 {
		if out.ContentLength == nil {
			out.Body.Close()
			return &Error{Op: "read", URL: s.o.String(), Err: errors.New("the server does not tell its size")}
		}
		s.end = s.next + *out.ContentLength
	}
	if s.o.ETag == "" {
		s.o.ETag, s.o.Size, s.o.Modified = quoted(aws.ToString(out.ETag)), s.end, aws.ToTime(out.LastModified)
	}
	s.body = out.Body
	return nil
}

// Close implements io.Closer.
func (s *stream) Close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}

// pause waits before the next attempt; the first follows at once.
func (c *connection) pause(ctx context.Context, attempt int) error {
	if attempt < 1 {
		return nil
	}
	delay, err := c.backoff.BackoffDelay(attempt-1, nil)
	if err != nil {
		return err
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quoted is an ETag as conditions need it, which some servers give bare.
func quoted(etag string) string {
	if etag == "" || strings.HasPrefix(etag, `"`) || strings.HasPrefix(etag, "W/") {
		return etag
	}
	return `"` + etag + `"`
}
