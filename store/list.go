package store

import (
	"context"
	"errors"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// List yields the objects whose keys begin with l.Key, in the order of their
// keys, byte by byte. An error is the last that it yields.
func (c *Client) List(ctx context.Context, l Location) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		api, err := c.connect(ctx)
		if err != nil {
			yield(Object{}, c.failed("list", l, err))
			return
		}
		pages := s3.NewListObjectsV2Paginator(api, &s3.ListObjectsV2Input{Bucket: &l.Bucket, Prefix: &l.Key})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, c.failed("list", l, err))
				return
			}
			if aws.ToBool(page.IsTruncated) && aws.ToString(page.NextContinuationToken) == "" {
				yield(Object{}, &Error{Op: "list", URL: l.String(), Err: errors.New("the server says that there is more and not how to ask for it: it lacks ListObjectsV2")})
				return
			}
			for _, found := range page.Contents {
				o := Object{
					Location: Location{Bucket: l.Bucket, Key: aws.ToString(found.Key)},
					Size:     aws.ToInt64(found.Size),
					ETag:     quoted(aws.ToString(found.ETag)),
					Modified: aws.ToTime(found.LastModified),
				}
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}
