package webapi

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rpipe-dev/rpipe/configs"
)

// CacheConfig says where answers are kept, and for how long.
type CacheConfig struct {
	Path    string           `yaml:"path" required:"true" doc:"A directory. Answers stand there as they came, readable by you alone." example:".rpipe/cache"`
	TTL     configs.Duration `yaml:"ttl" default:"24h" doc:"How long an answer is good. 0 is for ever."`
	MaxSize configs.Size     `yaml:"max_size" default:"1GiB" doc:"Bytes in the directory, at most, once a run has ended: the oldest answers go first. 0 is no limit."`
}

// Cache keeps the answers of another Doer on disk, so that the same request is
// not sent twice: not in one run, nor after a crash, nor in the next run. What
// makes requests the same is their method, URL, headers and body, and whose
// credentials they have. Errors are not kept.
//
// Any number of processes may use a directory. A file is put there whole, by
// renaming, and has a checksum: one that a power cut has spoilt counts as none.
type Cache struct {
	next     Doer
	config   *CacheConfig
	dir      string
	identity []byte
	log      *slog.Logger
	asking   singleflight.Group
	written  atomic.Bool
	failing  atomic.Bool // said that the directory cannot be written
}

// NewCache keeps the answers of next, whose requests are signed by auth.
// Relative paths start at dir.
func NewCache(c *CacheConfig, next Doer, auth *Auth, dir string, log *slog.Logger) (*Cache, error) {
	path := c.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	h := sha256.New()
	for _, s := range auth.identity() {
		hashPart(h, []byte(s))
	}
	if c, ok := next.(*Client); ok && c.config.TLS.CertFile != "" { // who shows another certificate is somebody else
		hashPart(h, []byte(c.config.TLS.CertFile))
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Cache{next: next, config: c, dir: path, identity: h.Sum(nil), log: log}, nil
}

func hashPart(h io.Writer, b []byte) {
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
	h.Write(b)
}

// key names a request.
func (c *Cache) key(r *Request) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte("rpipe 1"), c.identity, []byte(r.Method), []byte(r.URL), r.Body} {
		hashPart(h, part)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		hashPart(h, []byte(name))
		for _, v := range r.Header[name] {
			hashPart(h, []byte(v))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Do implements Doer. Those who ask for the same at once wait for one answer.
func (c *Cache) Do(ctx context.Context, r *Request) (*Response, error) {
	key := c.key(r)
	if resp, ok := c.load(key, r); ok {
		return resp, nil
	}
	for {
		resp, err := c.ask(ctx, key, r)
		var left *leftError
		if !errors.As(err, &left) {
			return resp, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// leftError says that who asked for all was stopped. That says nothing of the
// request: the others ask anew.
type leftError struct{ error }

// ask sends the request, or waits for somebody who does.
func (c *Cache) ask(ctx context.Context, key string, r *Request) (*Response, error) {
	first := false
	got, err, _ := c.asking.Do(key, func() (any, error) {
		first = true
		if resp, ok := c.load(key, r); ok { // somebody has just got it
			return resp, nil
		}
		resp, err := c.next.Do(ctx, r)
		switch {
		case err == nil:
			c.save(key, resp)
		case ctx.Err() != nil:
			err = &leftError{err}
		}
		return resp, err
	})
	if err != nil {
		var e *Error
		if !first && errors.As(err, &e) { // each has its own
			copied := *e
			err = &copied
		}
		return nil, err
	}
	resp := got.(*Response)
	if !first {
		copied := *resp
		copied.Tries = 0
		resp = &copied
	}
	return resp, nil
}

// entry is the first line of a file; the body follows.
type entry struct {
	At     time.Time   `json:"at"`
	URL    string      `json:"url"`
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Length int         `json:"length"`
	Sum    uint32      `json:"crc32c"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (c *Cache) file(key string) string { return filepath.Join(c.dir, key[:2], key[2:]) }

// load reads an answer that is there, whole, still good, and an answer to r.
func (c *Cache) load(key string, r *Request) (*Response, bool) {
	f, err := os.Open(c.file(key))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	in := bufio.NewReader(f)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, false
	}
	var e entry
	if json.Unmarshal(line, &e) != nil || c.expired(e.At) || !r.accepts(e.Status) {
		return nil, false
	}
	body, err := io.ReadAll(in)
	if err != nil || len(body) != e.Length || crc32.Checksum(body, castagnoli) != e.Sum {
		return nil, false
	}
	return &Response{Status: e.Status, Header: e.Header, Body: body, URL: e.URL}, true
}

func (c *Cache) expired(at time.Time) bool {
	return c.config.TTL > 0 && time.Since(at) > time.Duration(c.config.TTL)
}

// save keeps an answer. That it cannot is no reason to fail: it is said once.
func (c *Cache) save(key string, resp *Response) {
	if err := c.write(key, resp); err != nil && !c.failing.Swap(true) {
		c.log.Warn("answers cannot be kept in the cache", "error", err)
	}
}

func (c *Cache) write(key string, resp *Response) error {
	header := resp.Header.Clone()
	header.Del("Set-Cookie")
	e := entry{At: time.Now(), URL: resp.URL, Status: resp.Status, Header: header,
		Length: len(resp.Body), Sum: crc32.Checksum(resp.Body, castagnoli)}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	path := c.file(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), temporary+"*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Concat(line, []byte("\n"), resp.Body))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	c.written.Store(true)
	return nil
}

const temporary = ".new-"

// Sweep removes answers that are no longer good, and the oldest ones of those
// that are beyond max_size. Call it when the run has ended.
func (c *Cache) Sweep() error {
	if !c.written.Load() {
		return nil
	}
	type kept struct {
		path string
		size int64
		at   time.Time
	}
	var files []kept
	var total int64
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		name := filepath.Base(path)
		abandoned := len(name) > len(temporary) && name[:len(temporary)] == temporary && time.Since(info.ModTime()) > time.Hour
		switch {
		case abandoned, len(name) == 62 && c.expired(info.ModTime()):
			return ignoreGone(os.Remove(path))
		case len(name) == 62:
			files = append(files, kept{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	if c.config.MaxSize == 0 || total <= int64(c.config.MaxSize) {
		return nil
	}
	slices.SortFunc(files, func(a, b kept) int { return a.at.Compare(b.at) })
	for _, f := range files {
		if total <= int64(c.config.MaxSize) {
			break
		}
		if err := ignoreGone(os.Remove(f.path)); err != nil {
			return fmt.Errorf("cache: %w", err)
		}
		total -= f.size
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
