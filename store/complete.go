package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// tokenKey names the metadata by which an object tells the upload that made it.
const tokenKey = "rpipe-upload"

// Complete makes an upload visible under l, where nothing is yet (or, with
// replace, in place of what is there). It may be repeated: an upload that was
// completed before, by whoever, counts as done where the object has its size.
//
// Whatever the server answers, the object is looked at. There are servers that
// call an upload complete that they no longer know, since some object is there,
// or one that another request is still at. An object counts as the upload's own
// by the token it carries; where the server keeps none, an upload that is gone
// was completed, and one that is still open was not.
func (c *Client) Complete(ctx context.Context, l Location, p *Pending, size int64, replace bool) error {
	for attempt := 1; ; attempt++ {
		err := c.complete(ctx, l, p, replace)
		gone := err == nil || codeOf(err) == "NoSuchUpload"
		if !gone && !errors.Is(c.failed("complete", l, err), ErrConflict) {
			return c.failed("complete", l, err)
		}
		done := err == nil
		err = c.completed(ctx, l, p, size, gone)
		if done && statusOf(err) == http.StatusForbidden {
			return nil // these keys may write and not read: the server is believed
		}
		if !done || !errors.Is(err, ErrNotExist) || attempt >= c.config.MaxAttempts {
			return c.failed("complete", l, err)
		}
		if err := c.pause(ctx, attempt); err != nil {
			return c.failed("complete", l, err)
		}
	}
}

func (c *Client) complete(ctx context.Context, l Location, p *Pending, replace bool) error {
	api, err := c.connect(ctx)
	if err != nil {
		return err
	}
	in := &s3.CompleteMultipartUploadInput{Bucket: &l.Bucket, Key: &l.Key, UploadId: &p.ID, MultipartUpload: &types.CompletedMultipartUpload{}}
	if !replace {
		in.IfNoneMatch = aws.String("*")
	}
	for _, part := range p.Parts {
		done := types.CompletedPart{PartNumber: &part.Number, ETag: &part.ETag}
		if part.CRC32 != "" {
			done.ChecksumCRC32 = &part.CRC32
		}
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, done)
	}
	_, err = api.CompleteMultipartUpload(ctx, in)
	return err
}

// completed finds out whether the object at l is the upload's. gone says that
// the server no longer knows the upload.
func (c *Client) completed(ctx context.Context, l Location, p *Pending, size int64, gone bool) error {
	o, token, err := c.head(ctx, l)
	switch {
	case err != nil && errors.Is(c.failed("complete", l, err), ErrNotExist):
		return &Error{Op: "complete", URL: l.String(),
			Err:  fmt.Errorf("the upload is gone, and there is no object: %w", ErrNotExist),
			Hint: "somebody removed it: a rule of the bucket for incomplete uploads, or another run that resumed this one"}
	case err != nil:
		return err
	case o.Size != size:
		return fmt.Errorf("%w: it has %d bytes, the upload %d", ErrConflict, o.Size, size)
	case token != "" && token != p.Token && p.Token != "":
		return fmt.Errorf("%w: another upload made it", ErrConflict)
	case token != "" || gone:
		return nil
	}
	if open, err := c.open(ctx, l, p.ID); err != nil || open {
		return errors.Join(ErrConflict, err)
	}
	return nil
}
