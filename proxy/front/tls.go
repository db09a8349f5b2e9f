package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Where files change without a word of the kernel, as on a network file system or
// behind a symbolic link into another directory, asking finds out.
const (
	askKeys    = 30 * time.Second
	settleKeys = 200 * time.Millisecond // certificate and key are written one after the other
)

// keyPair is a certificate with its key, as the files have it now.
type keyPair struct {
	files   []string // certificate, key, authorities of clients
	min     uint16
	protos  []string
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	read    [][]byte      // what the files held when they were last looked at
	looked  chan struct{} // for tests: gets a word after each look; nil for none
}

func loadKeys(c *TLS, dir string, http2 bool, log *slog.Logger) (*keyPair, error) {
	k := &keyPair{log: log, min: tls.VersionTLS12, protos: []string{"http/1.1"}}
	if c.MinVersion == "1.3" {
		k.min = tls.VersionTLS13
	}
	if http2 {
		k.protos = []string{"h2", "http/1.1"}
	}
	for _, name := range []string{c.Cert, c.Key, c.ClientCA} {
		if name != "" {
			k.files = append(k.files, beside(dir, name))
		}
	}
	if _, err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// beside is name, relative to dir.
func beside(dir, name string) string {
	if dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// load reads the files and takes what they hold into use, where it is new and works.
func (k *keyPair) load() (changed bool, err error) {
	now := make([][]byte, len(k.files))
	for i, name := range k.files {
		if now[i], err = os.ReadFile(name); err != nil {
			return false, fmt.Errorf("tls: %w", err)
		}
	}
	if slices.EqualFunc(now, k.read, bytes.Equal) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(now[0], now[1])
	if err != nil {
		return false, fmt.Errorf("tls: certificate %s with key %s: %w", k.files[0], k.files[1], err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: k.min, NextProtos: k.protos}
	if len(k.files) > 2 {
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(now[2]) {
			return false, fmt.Errorf("tls: client_ca %s: holds no certificate in PEM", k.files[2])
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	k.read = now
	k.current.Store(c)
	return true, nil
}

// config is what the next handshake uses.
func (k *keyPair) config() *tls.Config { return k.current.Load() }

// watch loads the files again when they change, until ctx ends.
func (k *keyPair) watch(ctx context.Context) {
	var events chan fsnotify.Event
	var broken chan error
	if w, err := fsnotify.NewWatcher(); err != nil {
		k.log.Warn("changes of certificates are noticed late: files cannot be watched", "error", err, "every", askKeys)
	} else {
		defer w.Close()
		events, broken = w.Events, w.Errors
		for _, name := range k.files {
			// The directory, not the file: files are replaced by new ones, and
			// mounted secrets by a link to another directory beside them.
			if err := w.Add(filepath.Dir(name)); err != nil {
				k.log.Warn("changes of certificates are noticed late", "file", name, "error", err, "every", askKeys)
			}
		}
	}
	k.log.Debug("certificates are watched", "files", k.files)
	ask := time.NewTicker(askKeys)
	defer ask.Stop()
	settle := time.NewTimer(0) // what changed before we watched
	defer settle.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			settle.Reset(settleKeys)
			continue
		case err := <-broken:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				k.log.Warn("watch certificates", "error", err)
			}
			continue
		case <-ask.C:
		case <-settle.C:
		}
		changed, err := k.load()
		switch {
		case err != nil && (last == nil || last.Error() != err.Error()):
			k.log.Error("the new certificate is not used, the old one stays", "error", err)
		case changed:
			k.log.Info("a new certificate is in use", "file", k.files[0], "until", expiry(k.config()))
		}
		last = err
		if k.looked != nil {
			k.looked <- struct{}{}
		}
	}
}

func expiry(c *tls.Config) time.Time {
	if leaf := c.Certificates[0].Leaf; leaf != nil {
		return leaf.NotAfter
	}
	return time.Time{}
}
