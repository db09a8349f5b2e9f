package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// unopened is a server that has its data directory alone.
func unopened(f *File) *Server { return &Server{file: f, log: slog.New(slog.DiscardHandler)} }

// Restore puts a backup, as POST /v1/backup makes it, into the data directory of a file,
// which must not have a store yet. Values that are kept in a directory or on S3 are not
// in it.
func Restore(ctx context.Context, f *File, from string) error {
	s := unopened(f)
	if err := s.openData(); err != nil {
		return err
	}
	defer s.lock.Close()
	if len(f.NATS.URLs) > 0 {
		return &ConfigError{errors.New("restore: a backup goes into a data directory; --import copies that into a cluster")}
	}
	dir := filepath.Join(s.data, "nats")
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return &ConfigError{fmt.Errorf("restore: %s has a store already: restore into a new data directory, such as --data %s.restored", s.data, s.data)}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if _, err := os.Stat(from); err != nil {
		return &ConfigError{fmt.Errorf("restore: %w", err)}
	}
	durability, err := broker.ParseDurability(f.Durability)
	if err != nil {
		return &ConfigError{fmt.Errorf("durability: %w", err)}
	}
	b, err := broker.Open(ctx, broker.Options{Dir: dir, Durability: durability, MaxStore: int64(f.MaxStore), Name: "rpipe-restore"})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := errors.Join(b.Restore(ctx, from), b.Close()); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// Import copies the embedded store of a data directory, on which no server runs, into
// the cluster that a file names.
func Import(ctx context.Context, f *File, from string) error {
	if len(f.NATS.URLs) == 0 {
		return &ConfigError{errors.New("import: say with --nats, or nats.urls, which servers the store is copied into")}
	}
	if _, err := os.Stat(filepath.Join(from, "nats")); err != nil {
		return &ConfigError{fmt.Errorf("import: %s is no data directory of rpipe serve: %w", from, err)}
	}
	source := unopened(&File{Data: from})
	if err := source.openData(); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer source.lock.Close()
	own, err := broker.Open(ctx, broker.Options{Dir: filepath.Join(source.data, "nats"), Name: "rpipe-import"})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer own.Close()
	c := &f.NATS
	cluster, err := broker.Open(ctx, broker.Options{
		URLs: c.URLs, Credentials: f.below(c.Credentials), CA: f.below(c.CA), Replicas: c.Replicas, Name: "rpipe-import",
	})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer cluster.Close()
	if err := broker.Copy(ctx, own, cluster); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return nil
}
