package store

import "github.com/rpipe-dev/rpipe/configs"

// Client is the way to all buckets of a run. Its methods may be called by
// several goroutines. Errors have ErrNotExist or ErrConflict in their chain
// where that is the cause, and name the object and how to mend it.
type Client struct {
	config Config
	*connection
}

// New returns a client, which looks for credentials at its first request.
func New(c Config) *Client {
	c = c.withDefaults()
	return &Client{config: c, connection: newConnection(c)}
}

// Config is what the client was made with, and the defaults of the rest.
func (c *Client) Config() Config { return c.config }

// Narrow is this client with other limits of its uploads, for who writes many
// objects at once. They have their connections in common.
func (c *Client) Narrow(partSize int64, concurrency int) *Client {
	narrow := *c
	narrow.config.PartSize, narrow.config.Concurrency = configs.Size(partSize), concurrency
	return &narrow
}
