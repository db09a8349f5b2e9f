package store

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// Hurry takes the pauses out of a client's attempts.
func (c *Client) Hurry() *Client {
	c.backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	return c
}

// Silence sets how long a connection may carry nothing.
func (c *Client) Silence(d time.Duration) { c.silence = d }

var PartSize = partSize
