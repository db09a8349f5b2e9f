package store

import (
	"context"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// OpenUpload is an upload that is neither completed nor aborted.
type OpenUpload struct {
	Location
	ID    string
	Begun time.Time // by the server's clock
}

// Uploads yields the open uploads whose keys begin with l.Key, as far as the
// server lists them: some list none, or not all. An error is the last that it
// yields.
func (c *Client) Uploads(ctx context.Context, l Location) iter.Seq2[OpenUpload, error] {
	return func(yield func(OpenUpload, error) bool) {
		api, err := c.connect(ctx)
		if err != nil {
			yield(OpenUpload{}, c.failed("list uploads of", l, err))
			return
		}
		in := &s3.ListMultipartUploadsInput{Bucket: &l.Bucket, Prefix: &l.Key}
		for {
			page, err := api.ListMultipartUploads(ctx, in)
			if codeOf(err) == "NoSuchUpload" || lacks(err) { // rclone's way to say none, and that of servers without lists
				return
			}
			if err != nil {
				yield(OpenUpload{}, c.failed("list uploads of", l, err))
				return
			}
			for _, found := range page.Uploads {
				u := OpenUpload{Location: Location{Bucket: l.Bucket, Key: aws.ToString(found.Key)}, ID: aws.ToString(found.UploadId), Begun: aws.ToTime(found.Initiated)}
				if !yield(u, nil) {
					return
				}
			}
			key, id := aws.ToString(page.NextKeyMarker), aws.ToString(page.NextUploadIdMarker)
			if !aws.ToBool(page.IsTruncated) || key == aws.ToString(in.KeyMarker) && id == aws.ToString(in.UploadIdMarker) {
				return
			}
			in.KeyMarker, in.UploadIdMarker = &key, &id
		}
	}
}
