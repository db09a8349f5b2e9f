package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

// Copy copies an object on the server. One that is no longer as it was found is
// an error with ErrConflict in its chain, as a condition that does not hold is.
func (c *Client) Copy(ctx context.Context, from Object, to Location, when Condition) error {
	err := c.copyObject(ctx, from, to, when)
	return c.failed("copy "+from.String()+" to", to, err)
}

func (c *Client) copyObject(ctx context.Context, from Object, to Location, when Condition) error {
	if from.Size > c.largestCopy {
		return c.copyParts(ctx, from, to, when)
	}
	api, err := c.connect(ctx)
	if err != nil {
		return err
	}
	in := &s3.CopyObjectInput{Bucket: &to.Bucket, Key: &to.Key, CopySource: aws.String(copySource(from.Location))}
	if from.ETag != "" {
		in.CopySourceIfMatch = &from.ETag
	}
	if when.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	if when.IfMatch != "" {
		in.IfMatch = &when.IfMatch
	}
	_, err = api.CopyObject(ctx, in)
	return err
}

// copyParts copies what is too large for one request.
func (c *Client) copyParts(ctx context.Context, from Object, to Location, when Condition) (err error) {
	api, err := c.connect(ctx)
	if err != nil {
		return err
	}
	pending, err := c.begin(ctx, to, "") // the server has the bytes
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.AbortUpload(context.WithoutCancel(ctx), to, pending.ID))
		}
	}()
	size := max(c.copyPart, from.Size/mostParts+1)
	pending.Parts = make([]PendingPart, (from.Size+size-1)/size)
	g, parts := errgroup.WithContext(ctx)
	g.SetLimit(c.config.Concurrency)
	for i := range pending.Parts {
		g.Go(func() error {
			first, n := int64(i)*size, int32(i+1)
			in := &s3.UploadPartCopyInput{
				Bucket: &to.Bucket, Key: &to.Key, UploadId: &pending.ID, PartNumber: &n,
				CopySource:      aws.String(copySource(from.Location)),
				CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", first, min(first+size, from.Size)-1)),
			}
			if from.ETag != "" {
				in.CopySourceIfMatch = &from.ETag
			}
			out, err := api.UploadPartCopy(parts, in)
			if err == nil {
				pending.Parts[i] = PendingPart{Number: n, ETag: aws.ToString(out.CopyPartResult.ETag)}
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if when.IfMatch == "" {
		return c.Complete(ctx, to, &pending, from.Size, !when.IfNoneMatch)
	}
	return c.complete(ctx, to, &pending, when)
}

// copySource is a location as a header: a path, escaped.
func copySource(l Location) string {
	parts := strings.Split(l.Key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return l.Bucket + "/" + strings.Join(parts, "/")
}
