// Package broker is the engine under the task queue: NATS JetStream, in this process or
// elsewhere, with the same client code. It keeps records (a stream of documents by
// subject, written on condition), work (messages that say which task may be claimed),
// presence, logs and objects, and knows nothing of what they mean.
//
// What is promised: a record that Write has acknowledged is on the disk, with
// Durability Always also after the power fails. Work is delivered at least once, until
// it is acknowledged; after a crash some of it may be missing, so whoever owns the
// records sends it again (Push does no harm where it is still there).
//
// Calls wait while a server is away: for a minute, or as long as their context allows.
package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/nats-io/nuid"
)

// Options say where the store is: one of Dir, Join and URLs is set.
type Options struct {
	// Dir has an embedded store in this directory, which only one process can open.
	Dir        string
	Durability Durability
	MaxStore   int64 // bytes; 0 is no limit: what is kept free of the disk is one

	// Listen gives an embedded store a TLS port for workers elsewhere: host:port, port 0
	// for any, see URL. "" is no port at all. It needs Cluster; TLS replaces the
	// certificate that the cluster has made for itself.
	Listen  string
	TLS     *tls.Config
	Cluster *Cluster

	// Join has the store of another process, as a worker.
	Join *Join

	// URLs has external servers: nats:// or tls:// addresses of one cluster.
	URLs        []string
	Credentials string // file: NATS credentials (.creds) or the seed of an NKey
	CA          string // file: PEM certificates that the servers' are signed by; "" is the system's
	Replicas    int    // copies of everything; 0 is 3 where there are three servers, else 1

	Name    string        // of this process, in the servers' logs
	AckWait time.Duration // how long a delivery stays claimed without Extend; 0 is 30s, or what the store has
	Log     *slog.Logger  // nil is none
}

// Broker is a connection to a store. Its methods may be called at the same time.
type Broker struct {
	o        Options
	log      *slog.Logger
	server   *embedded // nil where it is elsewhere
	nc       *nats.Conn
	js       jetstream.JetStream
	logs     jetstream.JetStream // for Log, which does not wait: a window of its own
	replicas int
	grouped  bool // singles cost a sync each: Write goes by batches
	ackWait  time.Duration
	commits  committer
	figures  figures
	room     room
	reserve  int64
	tag      string // of this connection, in the headers of what it writes
	writes   atomic.Uint64

	closed    chan struct{}
	closeOnce sync.Once
	closeErr  error
	running   sync.WaitGroup // the committer, and answers of Serve

	mu      sync.Mutex
	onBack  map[int]func() // called when the connection is back
	nextKey int
	lanes   map[string]bool // consumers that are there
}

// Open opens the store that o names, and makes its streams where they are missing.
func Open(ctx context.Context, o Options) (*Broker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "rpipe"
	}
	durability, err := ParseDurability(string(o.Durability))
	if err != nil {
		return nil, err
	}
	o.Durability = durability
	b := &Broker{
		o: o, log: o.Log, reserve: reserve, replicas: 1, ackWait: o.AckWait, tag: nuid.Next()[14:], closed: make(chan struct{}),
		onBack: map[int]func(){}, lanes: map[string]bool{},
	}
	if b.ackWait == 0 {
		b.ackWait = 30 * time.Second
	}
	if err := b.open(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Broker) open(ctx context.Context) error {
	var err error
	if b.o.Dir != "" {
		if b.server, err = serve(ctx, &b.o); err != nil {
			return err
		}
	}
	if err := b.connect(); err != nil {
		return err
	}
	b.js, err = jetstream.New(b.nc, jetstream.WithPublishAsyncMaxPending(asyncWindow), jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		return err
	}
	b.logs, err = jetstream.New(b.nc, jetstream.WithPublishAsyncMaxPending(asyncWindow), jetstream.WithPublishAsyncTimeout(ackTimeout),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) {
			b.log.Warn("task store: a log message is lost", "subject", m.Subject, "err", explain(err))
		}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if b.o.Join == nil {
		if b.replicas = b.o.Replicas; b.replicas == 0 {
			b.replicas = 1
			if b.server == nil && len(b.nc.Servers()) >= 3 {
				b.replicas = 3
			}
		}
		if err := b.provision(ctx); err != nil {
			return err
		}
		if b.server != nil {
			if err := b.server.markOpen(); err != nil {
				return err
			}
		}
		if b.server != nil && b.o.Listen == "" {
			if err := b.forgetClaims(ctx); err != nil {
				return err
			}
		}
		// The timer of the engine's interval does not cover the files that describe streams.
		if b.server != nil && b.o.Durability != Always {
			if err := syncTree(b.o.Dir); err != nil {
				return fmt.Errorf("task store: sync: %w", err)
			}
		}
	}
	if err := b.learn(ctx); err != nil {
		return err
	}
	if b.server != nil && b.grouped {
		if err := b.server.stageInMemory(); err != nil {
			return err
		}
	}
	b.commits.start(b)
	return nil
}

// connect opens the one connection that all calls share.
func (b *Broker) connect() error {
	opts := []nats.Option{
		nats.Name(b.o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 500*time.Millisecond),
		nats.Timeout(10 * time.Second),
		nats.PingInterval(10 * time.Second),
		nats.ReconnectHandler(func(*nats.Conn) { b.back() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("task store: connection lost", "err", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			b.log.Warn("task store: " + err.Error())
		}),
	}
	var url string
	switch {
	case b.server != nil:
		opts = append(opts, nats.InProcessServer(b.server))
		if b.o.Listen != "" {
			opts = append(opts, seedOption(b.o.Cluster.seeds[roleServe]))
		}
	case b.o.Join != nil:
		config, err := b.o.Join.tls()
		if err != nil {
			return err
		}
		opts = append(opts, nats.Secure(config), seedOption([]byte(b.o.Join.Seed)), nats.CustomInboxPrefix(workerInbox))
		url = strings.Join(b.o.Join.URLs, ",")
	case len(b.o.URLs) > 0:
		more, err := external(&b.o)
		if err != nil {
			return err
		}
		opts, url = append(opts, more...), strings.Join(b.o.URLs, ",")
	default:
		return errors.New("task store: neither a directory nor a server is given")
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return fmt.Errorf("task store: connect to %s: %w", cmpOr(redacted(url), "the embedded server"), explainConnect(err))
	}
	b.nc = nc
	return nil
}

// external are the options for servers that are not rpipe's own.
func external(o *Options) ([]nats.Option, error) {
	var opts []nats.Option
	if o.Credentials != "" {
		b, err := os.ReadFile(o.Credentials)
		if err != nil {
			return nil, fmt.Errorf("task store: credentials: %w", err)
		}
		if bytes.Contains(b, []byte("NATS USER JWT")) {
			opts = append(opts, nats.UserCredentials(o.Credentials))
		} else if _, err := nkeys.FromSeed(bytes.TrimSpace(b)); err == nil {
			opts = append(opts, seedOption(bytes.TrimSpace(b)))
		} else {
			return nil, fmt.Errorf("task store: credentials: %s is neither a credentials file of NATS nor the seed of an NKey", o.Credentials)
		}
	}
	if o.CA != "" {
		b, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("task store: CA: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("task store: CA: %s holds no certificate in PEM form", o.CA)
		}
		opts = append(opts, nats.Secure(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	}
	return opts, nil
}

// seedOption proves the possession of a key.
func seedOption(seed []byte) nats.Option {
	return func(o *nats.Options) error {
		pair, err := nkeys.FromSeed(seed)
		if err != nil {
			return fmt.Errorf("key: %w", err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return fmt.Errorf("key: %w", err)
		}
		return nats.Nkey(public, pair.Sign)(o)
	}
}

// Close ends the connection, and the embedded server where there is one. What waits in
// other calls ends with ErrClosed.
func (b *Broker) Close() error {
	b.closeOnce.Do(func() {
		close(b.closed)
		b.running.Wait()
		if b.nc != nil {
			// Acknowledgements are sent without waiting for an answer: they must leave.
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			if b.nc.IsConnected() {
				b.closeErr = b.nc.FlushWithContext(ctx)
			}
			cancel()
			b.nc.Close()
		}
		if b.server != nil {
			b.server.close()
		}
	})
	return b.closeErr
}

// URL is where workers elsewhere reach an embedded store; "" without Options.Listen.
func (b *Broker) URL() string {
	if b.server == nil || b.o.Listen == "" {
		return ""
	}
	return "tls://" + b.server.Addr().String()
}

// AckWait is how long a delivery stays claimed without Extend.
func (b *Broker) AckWait() time.Duration { return b.ackWait }

// whenBack has f called after each loss of the connection, when it is back.
func (b *Broker) whenBack(f func()) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := b.nextKey
	b.nextKey++
	b.onBack[key] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.onBack, key)
	}
}

func (b *Broker) back() {
	b.log.Info("task store: connected again", "url", b.nc.ConnectedUrlRedacted())
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.onBack {
		f()
	}
}

func cmpOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
