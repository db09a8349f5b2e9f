package store

import (
	"bytes"
	"context"
	"crypto/rand"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	mostParts   = 10_000  // of one object, by S3's rules
	largestPart = 5 << 30 // likewise
	evenParts   = 4_500   // parts of PartSize, before they grow
	growEvery   = 500     // parts after which they double from there on
)

// partSize is the size of part n: the same for all of an ordinary object, since
// some servers insist on that, and growing late enough that 10,000 parts hold
// 5 TiB and more.
func partSize(n int32, first int64) int64 {
	if n <= evenParts {
		return first
	}
	return min(first<<((n-evenParts-1)/growEvery+1), largestPart)
}

// begin opens an upload that carries a token of its own. It names the checksum
// that the parts will come with: some servers refuse to complete what has
// checksums that were not announced.
func (c *Client) begin(ctx context.Context, l Location) (Pending, error) {
	p := Pending{Token: rand.Text()}
	api, err := c.connect(ctx)
	if err != nil {
		return Pending{}, err
	}
	err = c.checked(func(crc bool) error {
		in := &s3.CreateMultipartUploadInput{Bucket: &l.Bucket, Key: &l.Key, Metadata: map[string]string{tokenKey: p.Token}}
		if crc {
			in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
		}
		out, err := api.CreateMultipartUpload(ctx, in)
		if err == nil {
			p.ID = aws.ToString(out.UploadId)
		}
		return err
	})
	return p, err
}

// sendPart sends part n of an upload.
func (c *Client) sendPart(ctx context.Context, l Location, id string, n int32, data []byte) (PendingPart, error) {
	api, err := c.connect(ctx)
	if err != nil {
		return PendingPart{}, err
	}
	part := PendingPart{Number: n}
	err = c.checked(func(crc bool) error {
		in := &s3.UploadPartInput{
			Bucket: &l.Bucket, Key: &l.Key, UploadId: &id, PartNumber: &n,
			Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
		}
		part.CRC32 = ""
		if crc {
			part.CRC32 = crcOf(data)
			in.ChecksumCRC32 = &part.CRC32
		}
		out, err := api.UploadPart(ctx, in)
		if err == nil {
			part.ETag = aws.ToString(out.ETag)
		}
		return err
	})
	return part, err
}

// AbortUpload removes what an upload of an earlier process has left; one that
// is gone counts as removed.
func (c *Client) AbortUpload(ctx context.Context, l Location, id string) error {
	api, err := c.connect(ctx)
	if err == nil {
		_, err = api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &l.Bucket, Key: &l.Key, UploadId: &id})
	}
	if code := codeOf(err); code == "NoSuchUpload" || code == "NoSuchBucket" || code == "NoSuchKey" {
		return nil
	}
	return c.failed("abort", l, err)
}

// open reports whether the server still knows an upload.
func (c *Client) open(ctx context.Context, l Location, id string) (bool, error) {
	api, err := c.connect(ctx)
	if err != nil {
		return false, err
	}
	_, err = api.ListParts(ctx, &s3.ListPartsInput{Bucket: &l.Bucket, Key: &l.Key, UploadId: &id, MaxParts: aws.Int32(1)})
	if codeOf(err) == "NoSuchUpload" {
		return false, nil
	}
	return err == nil, err
}
