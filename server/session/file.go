package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/internal/durable"
)

// content is the file.
type content struct {
	Version  int                `json:"version"`
	Sessions map[string]*record `json:"sessions"`
}

// Open is the store in the file at path, which need not be there. A file that cannot be
// read as one ends all sessions, and is replaced: nobody should be locked out of the
// server by it.
func Open(path string, t Tokens, o Options) (*Store, error) {
	s := &Store{path: path, tokens: t, o: o, log: o.Log, all: map[string]*record{}, saved: time.Now()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	var c content
	if err := json.Unmarshal(data, &c); err != nil || c.Version != 1 {
		s.log.Warn("all log-ins have ended: the file of sessions is not readable, and begun anew", "file", path, "error", err)
		return s, nil
	}
	now := time.Now()
	for hash, rec := range c.Sessions {
		if len(hash) == 64 && rec != nil && !s.over(rec, now) {
			s.all[hash] = rec
		}
	}
	return s, nil
}

// Close saves when sessions were last used.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		if _, err := os.Stat(s.path); err != nil {
			return nil
		}
	}
	return s.save(time.Now())
}

// saveOrWarn saves what may get lost. s.mu is held.
func (s *Store) saveOrWarn(now time.Time) {
	if err := s.save(now); err != nil {
		s.log.Warn("log-ins are not kept: they end with the server", "error", err)
	}
}

// save replaces the file as a whole. s.mu is held.
func (s *Store) save(now time.Time) error {
	s.saved = now
	data, err := json.Marshal(content{1, s.all})
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), "."+filepath.Base(s.path)+"-*") // 0600
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(s.path))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("sessions: %w", err)
	}
	return nil
}
