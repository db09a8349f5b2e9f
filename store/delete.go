package store

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"
)

// deletedAtOnce is how many objects one request may name.
const deletedAtOnce = 1000

// Delete removes objects. Those that are not there count as removed.
func (c *Client) Delete(ctx context.Context, objects ...Location) error {
	buckets := map[string][]Location{}
	for _, l := range objects {
		buckets[l.Bucket] = append(buckets[l.Bucket], l)
	}
	for _, bucket := range buckets {
		for some := range slices.Chunk(bucket, deletedAtOnce) {
			if err := c.deleteSome(ctx, some); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) deleteSome(ctx context.Context, some []Location) error {
	if len(some) == 1 {
		return c.deleteOne(ctx, some[0])
	}
	api, err := c.connect(ctx)
	if err != nil {
		return c.failed("delete", some[0], err)
	}
	in := &s3.DeleteObjectsInput{Bucket: &some[0].Bucket, Delete: &types.Delete{Quiet: aws.Bool(true)}}
	for _, l := range some {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &l.Key})
	}
	var out *s3.DeleteObjectsOutput
	err = c.checked(func(crc bool) error {
		var options []func(*s3.Options)
		if !crc {
			options = append(options, withMD5)
		}
		out, err = api.DeleteObjects(ctx, in, options...)
		return err
	})
	if status := statusOf(err); status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed {
		return c.deleteEach(ctx, some) // the server knows no batches
	}
	if err != nil {
		return c.failed("delete", some[0], err)
	}
	var failures []error
	for _, e := range out.Errors {
		if code := aws.ToString(e.Code); code != "NoSuchKey" {
			l := Location{Bucket: some[0].Bucket, Key: aws.ToString(e.Key)}
			failures = append(failures, &Error{Op: "delete", URL: l.String(), Err: errors.New(aws.ToString(e.Message) + " (" + code + ")"),
				Hint: "allow " + permission("delete") + " to these keys"})
		}
	}
	if len(failures) > 3 {
		failures = failures[:3]
	}
	return errors.Join(failures...)
}

func (c *Client) deleteEach(ctx context.Context, some []Location) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.config.Concurrency)
	for _, l := range some {
		g.Go(func() error { return c.deleteOne(ctx, l) })
	}
	return g.Wait()
}

func (c *Client) deleteOne(ctx context.Context, l Location) error {
	api, err := c.connect(ctx)
	if err == nil {
		_, err = api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &l.Bucket, Key: &l.Key})
	}
	if codeOf(err) == "NoSuchKey" {
		return nil
	}
	return c.failed("delete", l, err)
}

// withMD5 sends the checksum that the protocol had for this request before
// there were others: one it must have, and some servers know no other.
func withMD5(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		s.Initialize.Remove("AWSChecksum:SetupInputContext")
		s.Build.Remove("AWSChecksum:RequestMetricsTracking")
		s.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum")
		s.Finalize.Remove("addInputChecksumTrailer")
		return smithyhttp.AddContentChecksumMiddleware(s)
	})
}
