package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

var errNotYet = errors.New("broker: not there yet")

type Durability string

func ParseDurability(s string) (Durability, error) { return Durability(s), nil }

type Options struct {
	Dir        string
	Durability Durability
	MaxStore   int64

	Listen  string
	TLS     *tls.Config
	Cluster *Cluster

	Join *Join

	URLs        []string
	Credentials string
	CA          string
	Replicas    int

	Name    string
	AckWait time.Duration
	Log     *slog.Logger
}

type Broker struct{}

func Open(ctx context.Context, o Options) (*Broker, error) { return nil, errNotYet }
func (b *Broker) Close() error                             { return nil }

// Epoch tells this stream of records from another one.
func (b *Broker) Epoch(ctx context.Context) (string, error) { return "", errNotYet }

// DeletionsKept is how long Feed tells of a deletion or an expiry.
const DeletionsKept = 24 * time.Hour

type Record struct {
	Subject string
	Data    []byte
	Seq     uint64
	Time    time.Time
}

func (b *Broker) Get(ctx context.Context, subject string) (Record, error) {
	return Record{}, errNotYet
}
func (b *Broker) GetAll(ctx context.Context, subjects []string) ([]Record, error) {
	return nil, errNotYet
}
func (b *Broker) Range(ctx context.Context, filter string, f func(Record) error) error {
	return errNotYet
}
func (b *Broker) LastSeq(ctx context.Context) (uint64, error) { return 0, errNotYet }

type Write struct {
	Subject string
	Data    []byte
	Expect  uint64
	Any     bool
	TTL     time.Duration
	Delete  bool
}

func (b *Broker) Write(ctx context.Context, w Write) (uint64, error) { return 0, errNotYet }
func (b *Broker) WriteAll(ctx context.Context, ws []Write) ([]uint64, []error) {
	return nil, []error{errNotYet}
}
func (b *Broker) Feed(ctx context.Context, from uint64, f func([]Record) error) error {
	return errNotYet
}

type Work struct {
	Queue string
	Lane  tasks.Lane
	Job   string
	N     int
}

func (b *Broker) Push(ctx context.Context, ws []Work) error                  { return errNotYet }
func (b *Broker) Withdraw(ctx context.Context, ws []Work) error              { return errNotYet }
func (b *Broker) Queued(ctx context.Context, queue string) (int64, error)    { return 0, errNotYet }
func (b *Broker) Purge(ctx context.Context, queue string) error              { return errNotYet }
func (b *Broker) Lanes(ctx context.Context, queues []string) (*Lanes, error) { return nil, errNotYet }

type Lanes struct{}

func (l *Lanes) Next(ctx context.Context, n int) ([]*Delivery, error) { return nil, errNotYet }
func (l *Lanes) SetQueues(ctx context.Context, queues []string) error { return errNotYet }
func (l *Lanes) Close()                                               {}

type Delivery struct {
	Work
	Redelivered int
}

func (d *Delivery) Ack() error                    { return errNotYet }
func (d *Delivery) Nak(delay time.Duration) error { return errNotYet }
func (d *Delivery) Extend() error                 { return errNotYet }

func (b *Broker) Announce(ctx context.Context, key string, data []byte, ttl time.Duration) error {
	return errNotYet
}
func (b *Broker) Withdrawn(ctx context.Context, key string) error { return errNotYet }
func (b *Broker) Present(ctx context.Context, prefix string) (map[string][]byte, error) {
	return nil, errNotYet
}
func (b *Broker) Watch(ctx context.Context, prefix string, f func(key string, data []byte) error) error {
	return errNotYet
}
func (b *Broker) Lead(ctx context.Context, role string, f func(context.Context) error) error {
	return errNotYet
}

type LogFunc = func(seq uint64, t time.Time, data []byte) error

func (b *Broker) Log(ctx context.Context, job string, n int, data []byte) error { return errNotYet }
func (b *Broker) ReadLog(ctx context.Context, job string, n int, after uint64, f LogFunc) error {
	return errNotYet
}
func (b *Broker) FollowLog(ctx context.Context, job string, n int, after uint64, f LogFunc) error {
	return errNotYet
}
func (b *Broker) DropLogs(ctx context.Context, job string, n int) error { return errNotYet }

func (b *Broker) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	return nil, errNotYet
}
func (b *Broker) Serve(subject string, f func(data []byte) []byte) (stop func(), err error) {
	return nil, errNotYet
}
func (b *Broker) Publish(subject string, data []byte) error { return errNotYet }
func (b *Broker) Subscribe(subject string, f func(subject string, data []byte)) (stop func(), err error) {
	return nil, errNotYet
}

// Objects are named streams of bytes.
type Objects struct{ b *Broker }

func (b *Broker) Objects() Objects { return Objects{b} }

// ObjectInfo is what is known of an object.
type ObjectInfo struct {
	Name     string
	Size     int64
	Modified time.Time
}

func (o Objects) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	return 0, errNotYet
}
func (o Objects) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	return nil, 0, errNotYet
}
func (o Objects) Stat(ctx context.Context, name string) (ObjectInfo, error) {
	return ObjectInfo{}, errNotYet
}
func (o Objects) Delete(ctx context.Context, name string) error            { return errNotYet }
func (o Objects) List(ctx context.Context, f func(ObjectInfo) error) error { return errNotYet }

func (b *Broker) Backup(ctx context.Context, dir string) error  { return errNotYet }
func (b *Broker) Restore(ctx context.Context, dir string) error { return errNotYet }
func Copy(ctx context.Context, from, to *Broker) error          { return errNotYet }

type Status struct {
	Name      string         `json:"name"`
	Cluster   string         `json:"cluster,omitempty"`
	Servers   []string       `json:"servers,omitempty"`
	Connected string         `json:"connected"`
	Streams   []StreamStatus `json:"streams"`
}

type StreamStatus struct {
	Name      string   `json:"name"`
	Messages  uint64   `json:"messages"`
	Bytes     uint64   `json:"bytes"`
	Replicas  int      `json:"replicas"`
	Leader    string   `json:"leader,omitempty"`
	Lagging   []string `json:"lagging,omitempty"`
	Consumers int      `json:"consumers"`
}

func (b *Broker) Status(ctx context.Context) (Status, error) { return Status{}, errNotYet }

// Cluster is the identity of an rpipe cluster: its id, CA and keys.
type Cluster struct{ ID string }

func OpenCluster(dir string, hosts []string) (*Cluster, error) { return nil, errNotYet }
func (c *Cluster) Join(urls ...string) *Join                   { return nil }

// Join is what a worker elsewhere needs: where, whom to trust, and its key.
type Join struct {
	Cluster string   `json:"cluster"`
	URLs    []string `json:"urls"`
	CA      []byte   `json:"ca"`
	Seed    string   `json:"seed"`
}

func (j *Join) String() string          { return "" }
func ParseJoin(s string) (*Join, error) { return nil, errNotYet }
