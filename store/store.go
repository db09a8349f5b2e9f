// Package store reads and writes objects on S3 and what speaks its protocol:
// ranged and streamed reads, conditional writes, and uploads in parts that stay
// invisible until they are completed.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// Config is the s3 block of a file.
type Config struct {
	Endpoint        string           `yaml:"endpoint" doc:"Address of a server that speaks S3, such as http://127.0.0.1:9000. Without it AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL are looked at, then AWS itself is used." example:"http://127.0.0.1:9000"`
	Region          string           `yaml:"region" doc:"Region of the buckets. Without it AWS_REGION and the shared configuration files are looked at."`
	Profile         string           `yaml:"profile" doc:"Profile of the shared configuration files."`
	PathStyle       string           `yaml:"path_style" default:"auto" enum:"auto|on|off" doc:"Whether the bucket stands in the path and not in the host name. auto is on where an endpoint is set."`
	AccessKeyID     configs.Secret   `yaml:"access_key_id" doc:"Without it the usual chain is asked: environment, shared files, container and instance roles."`
	SecretAccessKey configs.Secret   `yaml:"secret_access_key" doc:"Belongs to access_key_id."`
	SessionToken    configs.Secret   `yaml:"session_token" doc:"Belongs to access_key_id, where the credentials are temporary."`
	Checksum        string           `yaml:"checksum" default:"auto" enum:"auto|crc32|none" doc:"Checksums that go with uploads. auto sends CRC32 and does without where the server refuses them."`
	PartSize        configs.Size     `yaml:"part_size" default:"8MiB" min:"5242880" doc:"Size of the parts of an upload; it grows for objects of more than 10,000 parts."`
	Concurrency     int              `yaml:"concurrency" default:"3" min:"1" max:"64" doc:"Parts of one object that are sent at once."`
	MaxAttempts     int              `yaml:"max_attempts" default:"5" min:"1" doc:"How often a request is tried that fails by the network or on the server's side."`
	Lease           configs.Duration `yaml:"lease" default:"1m" min:"5s" doc:"After how long without a sign of life a run that writes to S3 counts as dead, so that another may take its place."`
}

// ErrNotExist says that there is no such object or bucket.
var ErrNotExist = errors.New("no such object")

// ErrConflict says that a condition did not hold: somebody else was there first.
var ErrConflict = errors.New("the object is there already, or has changed")

// Location is an object, or a prefix of objects.
type Location struct{ Bucket, Key string }

// Object is one that was found.
type Object struct {
	Location
	Size     int64
	ETag     string
	Modified time.Time
}

// Condition is what must hold for a Put.
type Condition struct {
	IfNoneMatch bool   // nothing is there
	IfMatch     string // it has this ETag
}

// Pending is an upload of which every part is stored and that Complete makes
// visible, in a later process too.
type Pending struct {
	ID    string        `json:"id"` // "" for a small object that is put whole
	Parts []PendingPart `json:"parts,omitempty"`
}

// PendingPart is one part of an upload.
type PendingPart struct {
	Number int32  `json:"n"`
	ETag   string `json:"etag"`
	CRC32  string `json:"crc32,omitempty"`
}

// Client is the way to all buckets of a run. Its methods may be called by
// several goroutines. Errors have ErrNotExist or ErrConflict in their chain
// where that is the cause, and name the object and how to mend it.
type Client struct{ config Config }

// New returns a client, which looks for credentials at its first request.
func New(c Config) *Client { return &Client{config: c} }

var errPending = errors.New("S3 is not there yet")

// IsURL reports whether a path names objects: s3://bucket/key.
func IsURL(path string) bool { return len(path) >= 5 && path[:5] == "s3://" }

// Parse takes s3://bucket/key apart.
func Parse(path string) (Location, error) { return Location{}, errPending }

// String is the location as a URL.
func (l Location) String() string { return "s3://" + l.Bucket + "/" + l.Key }

// Join is the location of a slash-separated relative path below l.
func (l Location) Join(rel string) Location { return l }

// Stat looks at an object.
func (c *Client) Stat(ctx context.Context, l Location) (Object, error) { return Object{}, errPending }

// List yields the objects whose keys begin with l.Key, in the order of their keys.
func (c *Client) List(ctx context.Context, l Location) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) { yield(Object{}, errPending) }
}

// Open streams an object from offset on. A broken connection is taken up again
// where it broke; an object that changes meanwhile is an error.
func (c *Client) Open(ctx context.Context, o Object, offset int64) (io.ReadCloser, error) {
	return nil, errPending
}

// ReaderAt reads ranges of an object, each a request. An object that changes is an error.
func (c *Client) ReaderAt(ctx context.Context, o Object) io.ReaderAt { return nil }

// Get reads a small object of at most limit bytes whole.
func (c *Client) Get(ctx context.Context, l Location, limit int64) ([]byte, Object, error) {
	return nil, Object{}, errPending
}

// Put writes a small object whole, and returns its ETag.
func (c *Client) Put(ctx context.Context, l Location, data []byte, when Condition) (etag string, err error) {
	return "", errPending
}

// Delete removes objects. Those that are not there count as removed.
func (c *Client) Delete(ctx context.Context, objects ...Location) error { return errPending }

// Copy copies an object on the server.
func (c *Client) Copy(ctx context.Context, from Object, to Location, when Condition) error {
	return errPending
}

// Upload is an object being sent in parts. One goroutine writes; the parts go
// out in others. Memory is at most (Concurrency+1) × PartSize.
type Upload struct{}

// Upload begins an object. started is told the upload's id before the first part
// is sent, so that it can be put on record; its error ends the upload.
func (c *Client) Upload(ctx context.Context, l Location, started func(id string) error) (*Upload, error) {
	return nil, errPending
}

// Write implements io.Writer.
func (u *Upload) Write(p []byte) (int, error) { return 0, errPending }

// Close sends the rest and waits for all parts. The object is not visible yet.
func (u *Upload) Close() (*Pending, error) { return nil, errPending }

// Abort gives the upload up and removes its parts. It may follow any call.
func (u *Upload) Abort(ctx context.Context) error { return errPending }

// Complete makes an upload visible under l, where nothing is yet (or, with
// replace, in place of what is there). It may be repeated: an upload that was
// completed before, by whoever, counts as done where the object has its size.
func (c *Client) Complete(ctx context.Context, l Location, p *Pending, size int64, replace bool) error {
	return errPending
}

// AbortUpload removes what an upload of an earlier process has left; one that
// is gone counts as removed.
func (c *Client) AbortUpload(ctx context.Context, l Location, id string) error { return errPending }

// Conditions is what a server honours.
type Conditions struct {
	Put      bool // If-None-Match and If-Match of a put
	Complete bool // If-None-Match where an upload is completed
}

// Probe finds out, with small objects below l that it removes again, which
// conditions the server honours.
func (c *Client) Probe(ctx context.Context, l Location) (Conditions, error) {
	return Conditions{}, errPending
}
