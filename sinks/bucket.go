package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// bucket is the place of an output on S3: a prefix. Parts are uploads to their
// final keys, which are nothing until they are completed.
type bucket struct {
	shown  string
	client *store.Client
	at     store.Location // the prefix, without a slash at its end
	file   string         // the name of the single file; "" for a directory
	run    string
	strict bool // the server honours conditions of a put
	log    *slog.Logger
	lock   *lease

	uploads context.Context // of all uploads that are open
	cancel  context.CancelFunc

	mu    sync.Mutex
	etags map[string]string // of small files, as this run knows them
}

// requests is how many requests go out at once where there is one for each part.
const requests = 16

func openBucket(ctx context.Context, l *layout, o *output, env *stages.Env) (place, error) {
	at, err := store.Parse(l.path)
	if err != nil {
		return nil, &Error{Op: "open", Path: l.path, Err: err}
	}
	if env.S3 == nil {
		return nil, &Error{Op: "open", Path: l.path, Err: errNoS3}
	}
	b := &bucket{shown: l.path, client: env.S3, at: at, run: o.run, log: o.log, etags: map[string]string{}}
	memory := env.Memory
	if memory <= 0 {
		memory = defaultMemory
	}
	if len(l.PartitionBy) > 0 || l.anyDir || memory/8 < b.buffer() {
		b.client = env.S3.Narrow(narrowPart, 1)
	}
	b.at.Key = strings.TrimRight(b.at.Key, "/")
	if l.single(o.ext) && b.at.Key != "" {
		b.at.Key, b.file = path.Split(b.at.Key)
		b.at.Key = strings.TrimRight(b.at.Key, "/")
	}
	o.file = b.file
	honours, err := probe(ctx, b, env)
	if err != nil {
		return nil, &Error{Op: "write to", Path: l.path, Err: err}
	}
	b.strict = honours.Put
	b.lock = &lease{
		client: b.client, at: b.key(lockName(b.file)), ttl: time.Duration(env.S3.Config().Lease), strict: b.strict, log: o.log,
	}
	b.uploads, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// narrowPart is the size of an upload's parts where many files are open at once.
// It is the least that S3 takes.
const narrowPart = 5 << 20

type probeKey struct {
	client *store.Client
	bucket string
}

// probe asks once in a run what a bucket's server honours.
func probe(ctx context.Context, b *bucket, env *stages.Env) (store.Conditions, error) {
	v, err := env.For(env.Stage).Shared(probeKey{env.S3, b.at.Bucket}, func() (any, error) {
		found, err := env.S3.Probe(ctx, b.at)
		switch {
		case err != nil:
		case !found.Put:
			b.log.Warn("the S3 server ignores conditional writes: runs that write to one prefix at the same time are not kept apart, and a run that was stopped and wakes up after another took its place may still publish",
				"bucket", b.at.Bucket)
		case !found.Complete:
			b.log.Warn("the S3 server ignores the condition on completed uploads: a file that somebody else puts under the same name during the run is overwritten",
				"bucket", b.at.Bucket)
		}
		return found, err
	})
	if err != nil {
		return store.Conditions{}, err
	}
	return v.(store.Conditions), nil
}

func (b *bucket) root() string {
	return strings.TrimSuffix(b.at.String(), "/")
}

func (b *bucket) remote() bool { return true }

// interrupt ends what waits for the server. It may be called by any goroutine.
func (b *bucket) interrupt() { b.cancel() }

// key is the object of a relative path.
func (b *bucket) key(rel string) store.Location { return b.at.Join(rel) }

func (b *bucket) take(ctx context.Context, me owner) (before owner, err error) {
	if before, err = b.lock.take(ctx, me); err != nil {
		return before, err
	}
	if err := b.removeQuestions(ctx); err != nil {
		b.log.Debug("could not remove what killed runs left that asked the server something", "path", b.root(), "error", err)
	}
	return before, nil
}

func (b *bucket) holds(ctx context.Context) error { return b.lock.renew(ctx) }

func (b *bucket) leave(ctx context.Context, left *owner) error {
	b.cancel()
	return failed("let go of", b.shown, b.lock.release(ctx, left))
}

// keyLimit is what S3 allows, less a name that a part may have.
const keyLimit = 1024 - 160

func (b *bucket) checkDir(dir string) error {
	if n := len(b.key(dir).Key); n > keyLimit {
		return &Error{Op: "create directory " + dir + " in", Path: b.shown, Err: errors.New("the keys below it would have more than 1024 bytes"), Hint: "partition by a shorter column"}
	}
	return nil
}

func (b *bucket) list(ctx context.Context, wanted func(path string, dir bool) bool) (map[string]int64, error) {
	found := map[string]int64{}
	below := b.at
	if below.Key != "" {
		below.Key += "/"
	}
	for o, err := range b.client.List(ctx, below) {
		if err != nil {
			return nil, err
		}
		if rel := strings.TrimPrefix(o.Key, below.Key); b.wanted(rel, wanted) {
			found[rel] = o.Size
		}
	}
	return found, nil
}

func (b *bucket) wanted(rel string, wanted func(path string, dir bool) bool) bool {
	for i := range len(rel) {
		if rel[i] == '/' && !wanted(rel[:i], true) {
			return false
		}
	}
	return wanted(rel, false)
}

func (b *bucket) size(ctx context.Context, path string) (int64, error) {
	o, err := b.client.Stat(ctx, b.key(path))
	return o.Size, missing(err)
}

// missing says in the words of the file system that there is no such object.
func missing(err error) error {
	if errors.Is(err, store.ErrNotExist) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

func (b *bucket) remove(ctx context.Context, paths []string) error {
	all := make([]store.Location, len(paths))
	for i, p := range paths {
		all[i] = b.key(p)
		b.know(p, "")
	}
	return b.client.Delete(ctx, all...)
}

func (b *bucket) takeBack(ctx context.Context, paths []string) error { return b.remove(ctx, paths) }

// smallLimit is how large a manifest may be: that of some million files.
const smallLimit = 1 << 30

func (b *bucket) load(ctx context.Context, name string) ([]byte, error) {
	data, o, err := b.client.Get(ctx, b.key(name), smallLimit)
	if err != nil {
		return nil, missing(err)
	}
	b.know(name, o.ETag)
	return data, nil
}

func (b *bucket) know(name, etag string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.etags[name] = etag
}

// save writes in place of the object that this run has read or written last.
func (b *bucket) save(ctx context.Context, name string, data []byte) (saved bool, err error) {
	b.mu.Lock()
	when := store.Condition{IfMatch: b.etags[name]}
	b.mu.Unlock()
	when.IfNoneMatch = when.IfMatch == ""
	if !b.strict {
		when = store.Condition{}
	}
	etag, err := b.client.Put(ctx, b.key(name), data, when)
	if err == nil {
		b.know(name, etag)
		return true, nil
	}
	if errors.Is(err, store.ErrConflict) {
		if fenced := b.holds(ctx); fenced != nil {
			return false, fenced
		}
		return false, err
	}
	after, cancel := lastly()
	defer cancel()
	there, o, readErr := b.client.Get(after, b.key(name), smallLimit)
	if readErr != nil || string(there) != string(data) {
		return false, err
	}
	b.know(name, o.ETag)
	return true, nil // the answer was lost, not the object
}

// publish completes the uploads of parts.
func (b *bucket) publish(ctx context.Context, parts []Part, replace bool, shown func(path string)) error {
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	var mu sync.Mutex
	var records []store.Location
	for _, p := range parts {
		g.Go(func() error {
			if err := b.complete(inner, p, replace); err != nil {
				return err
			}
			failpoint.Hit("part")
			mu.Lock()
			defer mu.Unlock()
			shown(p.Path)
			if p.Upload != nil {
				records = append(records, b.record(p.Upload.ID))
			}
			return nil
		})
	}
	err := g.Wait()
	if err != nil {
		if fenced := b.holds(ctx); errors.Is(fenced, ErrFenced) {
			return fenced // who took the place has given our uploads up
		}
		return err
	}
	if err := b.client.Delete(ctx, records...); err != nil {
		b.log.Debug("could not remove the records of completed uploads; the end of the run tries again", "path", b.root(), "error", err)
	}
	return nil
}

func (b *bucket) complete(ctx context.Context, p Part, replace bool) error {
	if p.Upload == nil {
		if size, err := b.size(ctx, p.Path); err != nil || size != p.Bytes {
			return gone(p)
		}
		return nil
	}
	err := b.client.Complete(ctx, b.key(p.Path), p.Upload, p.Bytes, replace)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%s is there already with another content: %w", path.Base(p.Path), err)
	}
	return err
}
