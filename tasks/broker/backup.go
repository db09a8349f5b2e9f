package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// entry is a message on its way to a backup, or to another store.
type entry struct {
	Subject string
	Time    time.Time
	TTL     time.Duration // from Time on; 0 is none
	Chunks  string        // of an object: headChunks
	Data    []byte
}

// copied are the streams of a backup, in the order in which they are read. Values come
// after the records that refer to them, so that none is missing which was there when
// its record was read, unless it was deleted since. Work is last: what is missing of it
// is sent again by whoever owns the records.
var copied = []string{recordStream, blobStream, chunkStream, logStream, workStream}

// manifest says what is in a backup.
type manifest struct {
	Version  int              `json:"version"`
	Created  time.Time        `json:"created"`
	Cluster  string           `json:"cluster,omitempty"`
	Messages map[string]int64 `json:"messages"` // by stream
}

const (
	manifestFile  = "manifest.json"
	backupVersion = 1
)

// Backup writes the whole store into the new directory dir, or in the place of an empty
// one, while it is in use. What changes meanwhile may be in it or not. The directory is
// there as a whole or not at all.
func (b *Broker) Backup(ctx context.Context, dir string) error {
	if err := b.backup(ctx, dir); err != nil {
		return fmt.Errorf("backup to %s: %w", dir, err)
	}
	return nil
}

func (b *Broker) backup(ctx context.Context, dir string) error {
	if info, err := os.Lstat(dir); err == nil {
		if !info.IsDir() || os.Remove(dir) != nil {
			return errors.New("it exists already, and is no empty directory: take a new one")
		}
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(part, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(part)
	info, err := b.info(ctx, recordStream)
	if err != nil {
		return err
	}
	m := manifest{backupVersion, time.Now().UTC(), info.Config.Metadata[metaCluster], map[string]int64{}}
	for _, stream := range copied {
		w, err := createArchive(filepath.Join(part, stream+".rpb"))
		if err != nil {
			return err
		}
		err = b.export(ctx, stream, func(es []entry) error {
			m.Messages[stream] += int64(len(es))
			return w.add(es)
		})
		if err = errors.Join(err, w.close()); err != nil {
			return fmt.Errorf("stream %s: %w", stream, err)
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(part, manifestFile), append(text, '\n'), 0o600); err != nil {
		return err
	}
	if err := syncTree(part); err != nil {
		return err
	}
	if err := os.Rename(part, dir); err != nil {
		return err
	}
	return syncPath(filepath.Dir(filepath.Clean(dir)))
}

// Restore fills this store, which must be empty, from a backup. Log lines get the time
// of the restore. One that was cut short goes on when it is started again.
func (b *Broker) Restore(ctx context.Context, dir string) error {
	if err := b.restore(ctx, dir); err != nil {
		return fmt.Errorf("restore from %s: %w", dir, err)
	}
	return nil
}

func (b *Broker) restore(ctx context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return fmt.Errorf("it is no backup: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	if m.Version != backupVersion {
		return fmt.Errorf("it has version %d, and this rpipe reads %d", m.Version, backupVersion)
	}
	return b.fill(ctx, "backup of "+m.Created.Format(time.RFC3339), func(stream string, f func([]entry) error) error {
		n := int64(0)
		err := readArchive(filepath.Join(dir, stream+".rpb"), func(es []entry) error {
			n += int64(len(es))
			return f(es)
		})
		if err == nil && n != m.Messages[stream] {
			err = fmt.Errorf("it has %d messages in place of %d: the backup is damaged", n, m.Messages[stream])
		}
		return err
	})
}

// Copy fills the store to, which must be empty, from the store from: the way from one
// machine to a cluster. Nobody should use either meanwhile. One that was cut short goes
// on when it is started again.
func Copy(ctx context.Context, from, to *Broker) error {
	epoch, err := from.Epoch(ctx)
	if err == nil {
		err = to.fill(ctx, "copy of "+epoch, func(stream string, f func([]entry) error) error {
			return from.export(ctx, stream, f)
		})
	}
	if err != nil {
		return fmt.Errorf("copy the task store: %w", err)
	}
	return nil
}

// Filling is what the store is being filled with; "" where it is whole. Nobody else should
// use it before: it has a part of that alone.
func (b *Broker) Filling(ctx context.Context) (string, error) {
	r, err := b.Get(ctx, importing)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return string(r.Data), err
}

// export reads what there is of a stream.
func (b *Broker) export(ctx context.Context, stream string, f func([]entry) error) error {
	if stream == workStream { // no further consumer can read it
		return b.readAll(ctx, stream, func(r Record) error {
			return f([]entry{{Subject: r.Subject, Time: r.Time, Data: r.Data}})
		})
	}
	batch := feedBatch
	if stream == blobStream || stream == chunkStream {
		batch = chunkGroup // of half a megabyte each
	}
	return b.feed(ctx, subscription{stream: stream, batch: batch, once: true}, func(ms []*nats.Msg) error {
		es := make([]entry, 0, len(ms))
		for _, m := range ms {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if gone(m.Header) {
				continue
			}
			e := entry{Subject: m.Subject, Time: meta.Timestamp, Chunks: m.Header.Get(headChunks), Data: m.Data}
			if n, err := strconv.Atoi(m.Header.Get(headTTL)); err == nil {
				e.TTL = time.Duration(n) * time.Second
			}
			es = append(es, e)
		}
		return f(es)
	})
}

// importing is the record that says what is being filled in, until it is complete.
const importing = "rp.k.importing"

// fill stores what each stream's source gives.
func (b *Broker) fill(ctx context.Context, what string, source func(stream string, f func([]entry) error) error) error {
	r, err := b.Get(ctx, importing)
	switch {
	case err == nil && string(r.Data) != what:
		return fmt.Errorf("the store has a part of another one, %s: take an empty store", r.Data)
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	case err != nil:
		if err := b.mustBeEmpty(ctx); err != nil {
			return err
		}
		if _, err := b.Write(ctx, Write{Subject: importing, Data: []byte(what)}); err != nil {
			return err
		}
	}
	if err := b.purge(ctx, logStream, "rp.log.>"); err != nil { // of a first try: lines have no name
		return err
	}
	for _, stream := range copied {
		if err := source(stream, func(es []entry) error { return b.importAll(ctx, stream, es) }); err != nil {
			return fmt.Errorf("stream %s: %w", stream, err)
		}
	}
	if err := b.FlushLog(ctx); err != nil {
		return err
	}
	_, err = b.Write(ctx, Write{Subject: importing, Delete: true, Any: true})
	return err
}

func (b *Broker) mustBeEmpty(ctx context.Context) error {
	for _, stream := range copied {
		some := ""
		err := b.readAll(ctx, stream, func(r Record) error {
			if r.Data == nil {
				return nil
			}
			some = r.Subject
			return errEnd
		})
		if err != nil && !errors.Is(err, errEnd) {
			return err
		}
		if some != "" {
			return fmt.Errorf("the store is not empty (it has %s): take an empty one", some)
		}
	}
	return nil
}

// importAll stores messages of a stream that are not there yet.
func (b *Broker) importAll(ctx context.Context, stream string, es []entry) error {
	es = slices.DeleteFunc(es, func(e entry) bool {
		return e.Subject == importing || e.TTL > 0 && time.Since(e.Time) >= e.TTL
	})
	switch stream {
	case recordStream:
		ws := make([]Write, len(es))
		for i, e := range es {
			if ws[i] = (Write{Subject: e.Subject, Data: e.Data}); e.TTL > 0 {
				ws[i].TTL = e.TTL - time.Since(e.Time)
			}
		}
		_, errs := b.WriteAll(ctx, ws)
		errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, ErrConflict) })
		return errors.Join(errs...)
	case workStream:
		ws := make([]Work, len(es))
		for i, e := range es {
			var err error
			if ws[i], err = parseWork(e.Subject); err != nil {
				return err
			}
		}
		return b.Push(ctx, ws)
	case logStream:
		for _, e := range es {
			if err := b.logTo(ctx, e.Subject, e.Data); err != nil {
				return err
			}
		}
		return nil
	default:
		return each(len(es), 16, func(i int) error {
			e := es[i]
			m := &nats.Msg{Subject: e.Subject, Data: e.Data, Header: nats.Header{headExpect: {"0"}}}
			if e.Chunks != "" {
				m.Header[headChunks] = []string{e.Chunks}
			}
			if _, err := b.publish(ctx, m); err != nil && !errors.Is(err, ErrConflict) {
				return fmt.Errorf("%s: %w", e.Subject, err)
			}
			return nil
		})
	}
}
