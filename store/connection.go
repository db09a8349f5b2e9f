package store

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// connection is what clients of one server have in common.
type connection struct {
	settings Config
	backoff  retry.BackoffDelayer
	silence  time.Duration

	mu   sync.Mutex
	api  *s3.Client // made at the first request
	http *http.Client

	refused atomic.Bool // the server does not take checksums
}

func newConnection(c Config) *connection {
	return &connection{
		settings: c,
		backoff:  retry.NewExponentialJitterBackoff(retry.DefaultMaxBackoff),
		silence:  2 * time.Minute,
	}
}

// Close lets go of idle connections. The client may still be used.
func (c *connection) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

// connect returns the SDK's client, making it where there is none yet.
func (c *connection) connect(ctx context.Context) (*s3.Client, error) {
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
	c.http = httpClient(found.HTTPClient, c.silence)
	c.api = s3.NewFromConfig(found, func(o *s3.Options) {
		o.HTTPClient = c.http
		if c.settings.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.settings.Endpoint)
		}
		o.UsePathStyle = c.settings.PathStyle == "on" || c.settings.PathStyle == "auto" && o.BaseEndpoint != nil
		// Checksums of uploads are ours to send, as headers: the SDK's own go as
		// trailers, which many servers refuse.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return c.api, nil
}

func (c *connection) options() []func(*config.LoadOptions) error {
	options := []func(*config.LoadOptions) error{
		config.WithRetryer(c.retryer),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
	}
	if c.settings.Region != "" {
		options = append(options, config.WithRegion(c.settings.Region))
	}
	if c.settings.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.settings.Profile))
	}
	if c.settings.AccessKeyID != "" {
		keys := aws.Credentials{
			AccessKeyID:     string(c.settings.AccessKeyID),
			SecretAccessKey: string(c.settings.SecretAccessKey),
			SessionToken:    string(c.settings.SessionToken),
			Source:          "the s3 block",
		}
		options = append(options, config.WithCredentialsProvider(aws.CredentialsProviderFunc(
			func(context.Context) (aws.Credentials, error) { return keys, nil })))
	}
	return options
}

// retryer is the SDK's, with MaxAttempts for every request: its quota of retries
// would let the requests of a large run fail long before.
func (c *connection) retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = c.settings.MaxAttempts
		o.RateLimiter = ratelimit.None
		o.Backoff = c.backoff
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(passes))
	})
}
