package store

import (
	"bytes"
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// Put writes a small object whole, and returns its ETag. Under a condition data
// must be unlike what anybody else writes there (a name and a random number will
// do): where the answer to a first attempt was lost, the object's content tells
// whether it was carried out.
func (c *Client) Put(ctx context.Context, l Location, data []byte, when Condition) (etag string, err error) {
	api, err := c.connect(ctx)
	if err != nil {
		return "", c.failed("write", l, err)
	}
	attempts := 0
	err = c.checked(func(crc bool) error {
		in := &s3.PutObjectInput{Bucket: &l.Bucket, Key: &l.Key, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data)))}
		if when.IfNoneMatch {
			in.IfNoneMatch = aws.String("*")
		}
		if when.IfMatch != "" {
			in.IfMatch = &when.IfMatch
		}
		if crc {
			in.ChecksumCRC32 = aws.String(crcOf(data))
		}
		attempts = 0
		out, err := api.PutObject(ctx, in, counting(&attempts))
		if err == nil {
			etag = quoted(aws.ToString(out.ETag))
		}
		return err
	})
	if err == nil {
		return etag, nil
	}
	err = c.failed("write", l, err)
	missing := when.IfMatch != "" && errors.Is(err, ErrNotExist) && codeOf(err) != "NoSuchBucket"
	if attempts > 1 && (missing || errors.Is(err, ErrConflict)) {
		if there, o, readErr := c.Get(ctx, l, int64(len(data))); readErr == nil && bytes.Equal(there, data) {
			return o.ETag, nil
		}
	}
	if missing {
		return "", &Error{Op: "write", URL: l.String(), Err: &cause{text: "it is not there any more", meaning: ErrConflict, sdk: err}}
	}
	return "", err
}

// counting counts the attempts of a request.
func counting(attempts *int) func(*s3.Options) {
	count := middleware.FinalizeMiddlewareFunc("CountAttempts", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		*attempts++
		return next.HandleFinalize(ctx, in)
	})
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			return s.Finalize.Insert(count, "Retry", middleware.After)
		})
	}
}
