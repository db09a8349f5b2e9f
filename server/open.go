package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/store"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/node"
	"github.com/rpipe-dev/rpipe/tasks/queue"
	"github.com/rpipe-dev/rpipe/tokens"
)

// open brings up the parts in the order in which it is cheapest to find out that they
// cannot be had: the directory, the address, the engine, then R.
func (s *Server) open(o Options) error {
	for _, step := range []func() error{
		s.openTracing,
		s.openData,
		func() error { return s.openAccess(o.Insecure) },
		s.openAudit,
		s.openSessions,
		s.openFront,
		s.openNotify,
		s.openEngine,
		func() error { return s.writeJoin(o.JoinFile) },
		s.openBlobs,
		s.openIndex,
		s.awaitIndex,
		s.openQueue,
		s.openSeries,
		s.openDashboard,
		s.setDefaults,
		s.openPool,
		s.runStartup,
		s.openNode,
		s.openAPIs,
		s.openPipelines,
		s.openSchedules,
		s.watchPipelines,
		s.serve,
	} {
		if err := step(); err != nil {
			return err
		}
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
	}
	return nil
}

// openData makes the data directory, which nobody else can read, and takes its lock.
func (s *Server) openData() error {
	dir, err := s.file.DataDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the data directory: %w; say data: in rpipe.yaml, or set RPIPE_DATA", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("the data directory: %w", err)
	}
	switch err := filelock.Take(lock); {
	case errors.Is(err, filelock.ErrBusy):
		lock.Close()
		other := ""
		if l, err := api.ReadLocal(dir); err == nil {
			other = fmt.Sprintf(", process %d at %s", l.Pid, l.URL)
		}
		return fmt.Errorf("the data directory %s is in use by another server%s: end that one, or give this one a directory of its own", dir, other)
	case err != nil && !errors.Is(err, filelock.ErrNone):
		lock.Close()
		return fmt.Errorf("the data directory: lock: %w", err)
	}
	s.data, s.lock = dir, lock
	if err := s.closeData(); err != nil {
		return err
	}
	left, _ := filepath.Glob(filepath.Join(dir, "rpipe-front-*")) // by a server that was killed
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("the data directory: %w", err)
		}
	}
	return nil
}

// openEngine opens the broker and the store of values.
func (s *Server) openEngine() error {
	c := &s.file.NATS
	o := broker.Options{
		Name: "rpipe-serve", Log: s.log.With("part", "engine"), AckWait: time.Duration(c.Lease),
		Replicas: c.Replicas, Credentials: s.file.below(c.Credentials), CA: s.file.below(c.CA), URLs: c.URLs,
	}
	if len(c.URLs) == 0 {
		o.Dir, o.MaxStore, o.Listen = filepath.Join(s.data, "nats"), int64(s.file.MaxStore), c.Listen
		var err error
		if o.Durability, err = broker.ParseDurability(s.file.Durability); err != nil {
			return &ConfigError{fmt.Errorf("durability: %w", err)}
		}
		if c.Listen != "" {
			if s.cluster, err = broker.OpenCluster(s.data); err != nil {
				return fmt.Errorf("the keys of workers: %w", err)
			}
			o.Cluster = s.cluster
		}
	}
	var err error
	if s.broker, err = broker.Open(s.ctx, o); err != nil {
		return fmt.Errorf("the engine: %w", err)
	}
	switch what, err := s.broker.Filling(s.ctx); {
	case err != nil:
		return fmt.Errorf("the engine: %w", err)
	case what != "":
		return &ConfigError{fmt.Errorf("the store has a part of the %s alone, since filling it was cut short: restore into a new data directory, or import again", what)}
	}
	s.running.Go(s.watchEngine)
	return nil
}

// watchEngine ends the server when the engine has stopped, as it does where the disk has
// no space at all: nothing is stored from then on, until it is started anew.
func (s *Server) watchEngine() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
		if err := s.broker.Stopped(); err != nil {
			s.cancel(fmt.Errorf("the engine: %w", err))
			return
		}
	}
}

// openBlobs opens the store of values, and tells workers elsewhere where it is.
func (s *Server) openBlobs() error {
	w, v := &s.file.Workers, &s.file.Values
	o := blob.Options{Cache: s.file.below(w.Cache), MaxCache: int64(w.MaxCache)}
	if o.Cache == "" {
		o.Cache = filepath.Join(s.data, "cache")
	}
	switch {
	case v.S3 != "":
		at, err := store.Parse(v.S3)
		if err != nil {
			return fmt.Errorf("values.s3: %w", err)
		}
		o.S3, o.S3Client = at, store.New(v.Bucket)
	case v.Dir != "":
		o.Dir = s.file.below(v.Dir)
	default:
		o.Objects = s.broker.Objects()
	}
	var err error
	if s.blobs, err = blob.Open(o); err != nil {
		return err
	}
	return s.tellValues(tasks.ValuesConfig{
		Dir: o.Dir, S3: v.S3, Endpoint: v.Bucket.Endpoint, Region: v.Bucket.Region, PathStyle: v.Bucket.PathStyle,
	})
}

// tellValues keeps where values are for workers elsewhere.
func (s *Server) tellValues(c tasks.ValuesConfig) error {
	if c.S3 == "" {
		c.Endpoint, c.Region, c.PathStyle = "", "", ""
	}
	record, err := json.Marshal(c)
	if err != nil {
		return err
	}
	switch now, err := s.broker.Get(s.ctx, tasks.ValuesSubject); {
	case errors.Is(err, broker.ErrNotFound):
	case err != nil:
		return fmt.Errorf("values: %w", err)
	case bytes.Equal(now.Data, record):
		return nil
	default:
		s.log.Warn("values are kept in another place than before: those of tasks until now are not found there unless they have been copied", "before", string(now.Data), "now", string(record))
	}
	if _, err := s.broker.Write(s.ctx, broker.Write{Subject: tasks.ValuesSubject, Data: record, Any: true}); err != nil {
		return fmt.Errorf("values: %w", err)
	}
	return nil
}

// writeJoin writes what workers on other machines are given.
func (s *Server) writeJoin(path string) error {
	if path == "" {
		return nil
	}
	if s.cluster == nil {
		return &ConfigError{errors.New("the engine has no port for workers on other machines, so there is nothing for them to join: set nats.listen, or --nats-listen")}
	}
	u, err := url.Parse(s.broker.URL())
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	hosts := s.file.NATS.Hosts
	if host := u.Hostname(); len(hosts) == 0 {
		if hosts = []string{host}; net.ParseIP(host).IsUnspecified() {
			if host, err = os.Hostname(); err != nil {
				return fmt.Errorf("join: %w; set nats.hosts", err)
			}
			hosts = []string{host}
		}
	}
	urls := make([]string, len(hosts))
	for i, host := range hosts {
		urls[i] = "tls://" + net.JoinHostPort(host, u.Port())
	}
	text := s.cluster.Join(false, urls...).String() + "\n"
	if err := writeSecret(path, text); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// writeSecret writes a file that only its owner can read, also where others could read
// what was there before.
func writeSecret(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if err := f.Chmod(0o600); err != nil {
			f.Close()
			return err
		}
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// openIndex opens the read model and feeds it.
func (s *Server) openIndex() error {
	var err error
	if s.index, err = index.Open(filepath.Join(s.data, "index.db")); err != nil {
		return fmt.Errorf("the index: %w", err)
	}
	// It outlives requests and tasks, whose last changes it is to have.
	ctx, stop := context.WithCancel(context.WithoutCancel(s.ctx))
	done := make(chan struct{})
	s.feedStop = func() { stop(); <-done }
	go func() {
		defer close(done)
		if err := s.index.Run(ctx, s.broker); err != nil && ctx.Err() == nil {
			s.cancel(fmt.Errorf("the index: %w", err))
		}
	}()
	return nil
}

// indexWait is how long the start waits for the index to catch up, as it does at once
// unless it has to be made anew for very many tasks.
const indexWait = 3 * time.Second

func (s *Server) awaitIndex() error {
	last, err := s.broker.LastSeq(s.ctx)
	if err != nil {
		return fmt.Errorf("the engine: %w", err)
	}
	ctx, cancel := context.WithTimeout(s.ctx, indexWait)
	defer cancel()
	if s.index.Sync(ctx, last) != nil && s.ctx.Err() == nil {
		s.log.Warn("the index is being made anew: until it is done, lists and counts are incomplete", "why", s.index.Status().Why)
	}
	return nil
}

func (s *Server) openQueue() error {
	var err error
	s.queue, err = queue.Open(s.ctx, s.broker, s.blobs, s.index, queue.Options{
		ResultTTL: time.Duration(s.file.Retention.Results), MaxTasks: math.MaxInt32, // the limits hold it
		LostAfter: time.Duration(s.file.NATS.Lease) * 3 / 2, Log: s.log.With("part", "queue"),
	})
	if err != nil {
		return fmt.Errorf("the queue: %w", err)
	}
	return nil
}

// setDefaults makes what the r block loads the environment default, so that workers on
// other machines have it too.
func (s *Server) setDefaults() error {
	if !s.file.R.loads() {
		return nil // it may be somebody's who set it by the API
	}
	return s.setDefaultsOf(s.file)
}

// loads reports whether a block says anything of what is loaded.
func (r *RBlock) loads() bool {
	return len(r.Packages) > 0 || len(r.Source) > 0 || r.Setup != "" || len(r.Options) > 0
}

func (s *Server) setDefaultsOf(f *File) error {
	r := &f.R
	e := tasks.Environment{Name: tasks.DefaultEnv, Packages: r.Packages, Setup: r.Setup, Options: r.Options}
	for _, path := range r.Source {
		text, err := os.ReadFile(f.below(path))
		if err != nil {
			return &ConfigError{fmt.Errorf("r.source: %w", err)}
		}
		ref, err := s.blobs.PutBytes(s.ctx, text)
		if err != nil {
			return fmt.Errorf("r.source: %s: %w", path, err)
		}
		e.Sources = append(e.Sources, tasks.Source{Name: filepath.Base(path), Ref: ref})
	}
	if _, err := s.queue.SetEnvironment(s.ctx, queue.Who{Owner: s.access.self, Admin: true}, e); err != nil {
		return fmt.Errorf("r: %w", err)
	}
	return nil
}

// openNode starts the worker of this machine.
func (s *Server) openNode() error {
	w := &s.file.Workers
	if w.None {
		return nil
	}
	host, _ := os.Hostname()
	var err error
	base := s.file.R.Environment(s.file.Dir(), s.file.R.Limits)
	base.Packages, base.Sources, base.Setup, base.Options = nil, nil, "", nil // the environment default has them
	s.node, err = node.New(s.broker, s.blobs, node.Options{
		Tracer: s.tracer, Host: host, Queues: w.Queues, Min: w.Min, Max: w.most() - s.file.reserve(), Pool: s.pool, Priority: s.file.priority(), Base: *base,
		Grace: s.Grace(), AckWait: time.Duration(s.file.NATS.Lease), Version: s.version, LogTasks: w.LogTasks,
		CacheDir: filepath.Join(s.data, "worker"), Log: s.log.With("part", "worker"),
	})
	if err != nil {
		return fmt.Errorf("workers: %w", err)
	}
	s.printer.Store(s.node)
	s.nodeDone = make(chan struct{})
	s.running.Go(func() {
		defer close(s.nodeDone)
		err := s.node.Run(s.ctx)
		switch {
		case err == nil || s.ctx.Err() != nil || s.draining.Load():
		case errors.Is(err, node.ErrIdle): // it was told to end when idle; the server was not
			s.log.Warn("the worker of this server has ended: start one with rpipe worker, or the server again", "error", err)
		default:
			s.cancel(fmt.Errorf("workers: %w", err))
		}
	})
	return nil
}

// openTokens opens the token store of the file.
func (s *Server) openTokens() error {
	path := s.file.below(s.file.Tokens)
	if path == "" {
		var err error
		if path, err = tokens.DefaultPath(); err != nil {
			s.log.Debug("no token store", "error", err)
			return nil
		}
	}
	var err error
	if s.tokens, err = tokens.Open(path); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return nil
}

// openAccess finds out who may ask, and refuses to listen where strangers reach the
// server and nothing keeps them out.
func (s *Server) openAccess(insecure bool) error {
	if err := s.openTokens(); err != nil {
		return err
	}
	owner, err := self()
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	s.access = access{
		self: owner, uid: getuid(), always: s.file.Auth == "always", insecure: insecure,
		tokens: s.tokens, guesses: newGuesses(&s.file.Login), log: s.log, host: host, names: s.file.Listen.Names,
		recheck: recheckEvery,
	}
	l := &s.file.Listen
	unix := l.unix()
	if unix || exchange.Loopback(l.Address) {
		return nil
	}
	if l.TLS != nil && l.TLS.ClientCA != "" {
		return nil
	}
	if insecure {
		s.log.Warn("everybody who reaches this address can run code here: --insecure", "address", l.Address)
		return nil
	}
	where := ""
	if s.tokens != nil {
		for _, scope := range []tokens.Scope{tokens.Submit, tokens.Admin} {
			usable, err := s.tokens.Usable(scope)
			if err != nil {
				return fmt.Errorf("tokens: %w", err)
			}
			if usable {
				if l.TLS == nil {
					s.log.Warn("tokens and data go over the network unencrypted: set listen.tls, or have a proxy in front that speaks TLS", "address", l.Address)
				}
				return nil
			}
		}
		where = " --store " + s.tokens.Path()
	}
	return &ConfigError{fmt.Errorf("listen on %s: other machines reach it, and whoever does could run code here: make a token with rpipe token create%s --owner NAME --scope submit, or set listen.tls.client_ca, or listen on 127.0.0.1 (--insecure lets everybody in)", l.Address, where)}
}

// serve starts to answer, and says where.
func (s *Server) serve() error {
	handler, err := s.handler()
	if err != nil {
		return err
	}
	s.running.Go(func() {
		if err := s.front.Serve(s.ctx, s.mount(handler)); err != nil {
			s.cancel(err)
		}
	})
	local := api.Local{URL: s.URL(), Host: s.access.host, Pid: os.Getpid(), Version: s.version, Started: s.started}
	if err := local.Write(s.data); err != nil {
		return fmt.Errorf("the data directory: %w", err)
	}
	return nil
}

// unix reports whether the address is a path.
func (l *Listen) unix() bool {
	return filepath.IsAbs(l.Address) || l.Address[:min(2, len(l.Address))] == "./"
}

// urlOf is an address as a URL that can be opened from this machine.
func urlOf(tls bool, a net.Addr) string {
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		path, err := filepath.Abs(a.String())
		if err != nil {
			path = a.String()
		}
		return "unix://" + path
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}
