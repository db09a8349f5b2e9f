package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

// maxPayload is the largest message: bytes, headers included.
const maxPayload = 8 << 20

// embedded is a server in this process, with its store.
type embedded struct {
	*server.Server
	lock    *os.File // of the directory
	staging string   // see stageInMemory; "" is none
	dir     string
	crashed bool // the machine went down while the store was open
	marked  bool // as open
	log     *serverLog
}

// serve starts a server over the store in o.Dir, with a port where o.Listen says so.
func serve(ctx context.Context, o *Options) (*embedded, error) {
	every, err := o.Durability.interval()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("task store: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	crashed, err := wentDown(o.Dir)
	if err != nil {
		lock.Close()
		return nil, err
	}
	if o.MaxStore == 0 {
		o.MaxStore = unlimited // left to itself, the engine takes what is free at its start, and then has no room for ever
	}
	so := &server.Options{
		ServerName:        o.Name,
		JetStream:         true,
		StoreDir:          o.Dir,
		JetStreamMaxStore: o.MaxStore,
		SyncAlways:        every == 0,
		SyncInterval:      every,
		MaxPayload:        maxPayload,
		NoSigs:            true,
		NoLog:             true,
		DontListen:        true,
		Port:              -1,
	}
	if o.Listen != "" {
		if err := listen(so, o); err != nil {
			lock.Close()
			return nil, err
		}
	}
	ns, err := server.NewServer(so)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("task store %s: %w", o.Dir, err)
	}
	e := &embedded{Server: ns, lock: lock, dir: o.Dir, crashed: crashed, log: &serverLog{log: o.Log}}
	ns.SetLoggerV2(e.log, false, false, false)
	go ns.Start()
	for !ns.ReadyForConnections(100 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			e.close()
			return nil, fmt.Errorf("task store %s: not ready: %w", o.Dir, err)
		}
		if !ns.Running() {
			e.close()
			return nil, fmt.Errorf("task store %s: the server did not start; the log says why", o.Dir)
		}
	}
	return e, nil
}

// listen gives the server a TLS port that only holders of the cluster's keys may use.
func listen(so *server.Options, o *Options) error {
	if o.Cluster == nil {
		return errors.New("task port: a cluster's keys are needed to listen: see OpenCluster")
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("task port: address %q: %w", o.Listen, err)
	}
	so.DontListen, so.Host = false, host
	if so.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("task port: address %q: the port must be a number", o.Listen)
	}
	// The server would try for ever, and only its log would say why.
	free, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("task port: %w", err)
	}
	free.Close()
	if so.Port == 0 {
		so.Port = -1 // any that is free
	}
	so.TLSConfig = o.TLS
	if so.TLSConfig == nil {
		so.TLSConfig = o.Cluster.serverTLS()
	}
	so.TLSConfig.MinVersion = max(so.TLSConfig.MinVersion, tls.VersionTLS12)
	so.TLSTimeout = 10
	so.Nkeys = o.Cluster.users()
	return nil
}

func (e *embedded) close() {
	e.Shutdown()
	e.WaitForShutdown()
	e.markClosed()
	if e.staging != "" {
		dropStaging(e.staging)
		os.Remove(filepath.Join(e.dir, "staging"))
	}
	e.lock.Close()
}

// lockDir keeps a second process from the same store, which would destroy it.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("task store: %w", err)
	}
	switch err := filelock.Take(f); {
	case errors.Is(err, filelock.ErrBusy):
		f.Close()
		return nil, fmt.Errorf("task store %s: another rpipe serve has it: end that one, or take another directory", dir)
	case err != nil && !errors.Is(err, filelock.ErrNone):
		f.Close()
		return nil, fmt.Errorf("task store %s: lock: %w", dir, err)
	}
	return f, nil
}

// syncTree has every file and directory below dir on the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file
		}
		if err != nil || !(d.IsDir() || d.Type().IsRegular()) {
			return err
		}
		if err := syncPath(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// syncPath has one file, or the names in one directory, on the disk.
func syncPath(path string) error {
	if runtime.GOOS == "windows" {
		return nil // which syncs only what is open for writing
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// stopped is why the server stores nothing any more, until it is started anew.
func (e *embedded) stopped() error {
	why := e.log.failed.Load()
	switch {
	case why != nil && strings.Contains(*why, "no space left"), why == nil && !e.JetStreamEnabled():
		return fmt.Errorf("%w: its disk had no space left, so it has stopped: make room in %s and start anew", ErrFull, e.dir)
	case why != nil:
		return fmt.Errorf("the task store has stopped, start it anew: %s", *why)
	}
	return nil
}

// serverLog puts what the server says into rpipe's log.
type serverLog struct {
	log *slog.Logger
	// failed is set when a stream could not be written. The server then answers nobody
	// who writes to it, and says so here alone.
	failed atomic.Pointer[string]
}

func (l *serverLog) put(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if level == slog.LevelError && strings.Contains(strings.ToLower(text), "critical write error") {
		if !l.failed.CompareAndSwap(nil, &text) {
			return
		}
	}
	if l.failed.Load() != nil && strings.HasPrefix(text, "JetStream failed to store") {
		level = slog.LevelDebug // each write says it once more
	}
	l.log.Log(context.Background(), level, "task store: "+text)
}

func (l *serverLog) Noticef(format string, v ...any) { l.put(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.put(slog.LevelWarn, format, v) }
func (l *serverLog) Fatalf(format string, v ...any)  { l.put(slog.LevelError, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.put(slog.LevelError, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.put(slog.LevelDebug, format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.put(slog.LevelDebug, format, v) }
