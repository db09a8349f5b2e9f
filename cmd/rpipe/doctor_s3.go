package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// examineS3 looks whether a bucket can be reached with the credentials that the
// AWS environment variables and files give.
func examineS3(ctx context.Context, address string) finding {
	f := finding{What: "S3", Status: "bad"}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		f.Found, f.Mend = address+" is not an S3 address", "write s3://bucket or s3://bucket/prefix"
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conf, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(2))
	if err != nil {
		f.Found, f.Mend = err.Error(), "mend ~/.aws/config or the AWS_* variables"
		return f
	}
	client := s3.NewFromConfig(conf, func(o *s3.Options) { o.UsePathStyle = conf.BaseEndpoint != nil })
	_, err = client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(u.Host)})
	if err == nil {
		f.Found, f.Status = "bucket "+u.Host+" answers", "ok"
		return f
	}
	f.Found = "bucket " + u.Host + ": " + err.Error()
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "NotFound":
		f.Mend = "there is no such bucket: make it, or mend its name"
	case errors.As(err, &api):
		f.Mend = "the keys may not use it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or mend the bucket's policy"
	default:
		f.Mend = "set AWS_REGION, the keys, and, for a store of your own, AWS_ENDPOINT_URL_S3"
	}
	return f
}
