package sinks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rpipe-dev/rpipe/store"
)

// object is a part's content while it is sent.
type object struct {
	*store.Upload
	b  *bucket
	id string
}

// uploadRecord says of an upload that it was begun, before its first part is
// sent: lists of uploads are incomplete on some servers, lists of objects are not.
type uploadRecord struct {
	Path   string `json:"path"`
	Upload string `json:"upload"`
}

// buffer is what the client promises of an upload.
func (b *bucket) buffer() int64 {
	c := b.client.Config()
	return int64(c.PartSize) * int64(c.Concurrency+1)
}

func (b *bucket) begin(p *Part) (body, error) {
	o := &object{b: b}
	u, err := b.client.Upload(b.uploads, b.key(p.Path), func(id string) error {
		o.id = id
		data, err := json.Marshal(uploadRecord{Path: p.Path, Upload: id})
		if err == nil {
			_, err = b.client.Put(b.uploads, b.record(id), data, store.Condition{})
		}
		return err
	})
	if err != nil {
		return nil, failed("create a file in", b.shown, err)
	}
	o.Upload = u
	return o, nil
}

// records is where the records of uploads are.
func (b *bucket) records() store.Location {
	if b.file != "" {
		return b.key("." + b.file + ".rpipe")
	}
	return b.key(".rpipe")
}

// record is that of one upload of this run.
func (b *bucket) record(id string) store.Location {
	sum := sha256.Sum256([]byte(id))
	return b.records().Join(b.run + "/" + hex.EncodeToString(sum[:12]))
}

// seal waits until the server has all of it.
func (o *object) seal(p *Part) error {
	var err error
	p.Upload, err = o.Close()
	return err
}

func (o *object) held() int64 { return o.Held() }

func (o *object) discard(ctx context.Context) {
	if err := o.Abort(ctx); err == nil { // else the sweep does it
		_ = o.b.client.Delete(ctx, o.b.record(o.id))
	}
}

// settle has nothing to do: what is sealed is on the server.
func (b *bucket) settle([]Part) error { return nil }

// sweep aborts the uploads that are on record.
func (b *bucket) sweep(ctx context.Context, drop func(l leftover) bool) (dropped int, kept map[string]bool, err error) {
	below := b.records()
	below.Key += "/"
	kept = map[string]bool{}
	var mu sync.Mutex
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for o, err := range b.client.List(ctx, below) {
		if err != nil {
			return 0, nil, errors.Join(err, g.Wait())
		}
		run, _, ok := strings.Cut(strings.TrimPrefix(o.Key, below.Key), "/")
		if !ok {
			continue
		}
		g.Go(func() error {
			r, err := b.readRecord(inner, o)
			if err != nil || r.Upload == "" {
				return err
			}
			if !drop(leftover{run: run, name: path.Base(r.Path), id: r.Upload}) {
				mu.Lock()
				defer mu.Unlock()
				kept[r.Upload] = true
				return nil
			}
			if err := b.client.AbortUpload(inner, b.key(r.Path), r.Upload); err != nil {
				return err
			}
			if err := b.client.Delete(inner, o.Location); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			dropped++
			return nil
		})
	}
	err = g.Wait()
	return dropped, kept, err
}

// abortListed looks through the server's list of uploads: a process that was
// killed between the begin of one and its record left no other trace. The key of a
// single file does not tell whose its upload is: that stays.
func (b *bucket) abortListed(ctx context.Context, drop func(path, id string) bool) (dropped int) {
	if b.file != "" {
		return 0
	}
	below := b.at
	if below.Key != "" {
		below.Key += "/"
	}
	for u, err := range b.client.Uploads(ctx, below) {
		if err == nil {
			rel := strings.TrimPrefix(u.Key, below.Key)
			if !local(rel) || !drop(rel, u.ID) {
				continue
			}
			err = b.client.AbortUpload(ctx, u.Location, u.ID)
		}
		if err != nil {
			b.log.Debug("could not look for uploads that are not on record", "path", b.root(), "error", err)
			return dropped
		}
		dropped++
	}
	return dropped
}

// putBack has nothing to do: what is completed is committed.
func (b *bucket) putBack(string) error { return nil }

// readRecord is empty where the record is gone or is none of ours.
func (b *bucket) readRecord(ctx context.Context, o store.Object) (r uploadRecord, err error) {
	data, _, err := b.client.Get(ctx, o.Location, leaseLimit)
	if errors.Is(err, store.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if json.Unmarshal(data, &r) != nil || !local(r.Path) {
		return uploadRecord{}, nil
	}
	return r, nil
}
