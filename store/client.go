package store

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// Client is the way to all buckets of a run. Its methods may be called by
// several goroutines. Errors have ErrNotExist or ErrConflict in their chain
// where that is the cause, and name the object and how to mend it.
type Client struct {
	config Config

	mu   sync.Mutex
	api  *s3.Client // made at the first request
	http *http.Client

	refused atomic.Bool // the server does not take checksums

	largestCopy int64 // what one request may copy
	copyPart    int64 // size of the parts of larger ones
}

// New returns a client, which looks for credentials at its first request.
func New(c Config) *Client {
	return &Client{config: c.withDefaults(), largestCopy: 5 << 30, copyPart: 1 << 30}
}

// Close lets go of idle connections. The client may still be used.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

// connect returns the SDK's client, making it where there is none yet.
func (c *Client) connect(ctx context.Context) (*s3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api != nil {
		return c.api, nil
	}
	found, err := config.LoadDefaultConfig(ctx, c.options()...)
	if err != nil {
		return nil, err
	}
	if found.Region == "" {
		// A server of one's own does not care, and AWS answers by naming the right one.
		found.Region = "us-east-1"
	}
	c.http = httpClient(found.HTTPClient)
	c.api = s3.NewFromConfig(found, func(o *s3.Options) {
		o.HTTPClient = c.http
		if c.config.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.config.Endpoint)
		}
		o.UsePathStyle = c.config.PathStyle == "on" || c.config.PathStyle == "auto" && o.BaseEndpoint != nil
		// Checksums of uploads are ours to send, as headers: the SDK's own go as
		// trailers, which many servers refuse.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		if c.config.Checksum == "none" {
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return c.api, nil
}

func (c *Client) options() []func(*config.LoadOptions) error {
	options := []func(*config.LoadOptions) error{
		config.WithRetryer(c.retryer),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
	}
	if c.config.Region != "" {
		options = append(options, config.WithRegion(c.config.Region))
	}
	if c.config.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.config.Profile))
	}
	if c.config.AccessKeyID != "" {
		keys := aws.Credentials{
			AccessKeyID:     string(c.config.AccessKeyID),
			SecretAccessKey: string(c.config.SecretAccessKey),
			SessionToken:    string(c.config.SessionToken),
			Source:          "the s3 block",
		}
		options = append(options, config.WithCredentialsProvider(aws.CredentialsProviderFunc(
			func(context.Context) (aws.Credentials, error) { return keys, nil })))
	}
	return options
}

// retryer is the SDK's, with MaxAttempts for every request: its quota of retries
// would let the requests of a large run fail long before.
func (c *Client) retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = c.config.MaxAttempts
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(passes))
	})
}
