package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/rpipe-dev/rpipe/internal/durable"
)

// letter is a message on its way to a target: a file of the outbox.
type letter struct {
	ID      string  `json:"id"`
	Target  string  `json:"target"`
	Tries   int     `json:"tries"`
	Message Message `json:"message"`
}

func newID() string { return strings.ToLower(ulid.Make().String()) }

// keep makes a letter, in a file where there is a directory.
func (n *Notifier) keep(target string, m Message) *letter {
	l := &letter{ID: newID(), Target: target, Message: m}
	n.store(l)
	return l
}

func (n *Notifier) path(l *letter) string { return filepath.Join(n.o.Dir, l.ID+".json") }

// unfinished ends the name of a file that is being written.
const unfinished = ".new"

// store writes a letter's file. Where it cannot be written the message goes out all the
// same, and only a restart loses it.
func (n *Notifier) store(l *letter) {
	if n.o.Dir == "" {
		return
	}
	fresh := n.path(l) + unfinished
	data, err := json.Marshal(l)
	if err == nil {
		err = writeSynced(fresh, data)
	}
	if err == nil {
		err = os.Rename(fresh, n.path(l))
	}
	if err == nil {
		err = durable.SyncDir(n.o.Dir)
	}
	if err != nil {
		os.Remove(fresh)
		n.log.Warn("a notification is not kept: a restart would lose it", "target", l.Target, "error", err)
	}
}

// writeSynced writes a file that is there after a power failure too: what it tells of is
// marked as told then.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (n *Notifier) drop(l *letter) {
	if n.o.Dir == "" {
		return
	}
	if err := os.Remove(n.path(l)); err != nil && !errors.Is(err, os.ErrNotExist) {
		n.log.Warn("a notification that is done stays in its file, and may go out again", "error", err)
	}
}

// load takes up what was left by the run before.
func (n *Notifier) load() error {
	if n.o.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(n.o.Dir, 0o700); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	files, err := os.ReadDir(n.o.Dir) // by name, and so by time
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	for _, file := range files {
		name := filepath.Join(n.o.Dir, file.Name())
		switch filepath.Ext(name) {
		case unfinished: // the process died as it wrote it
			os.Remove(name)
			continue
		case ".json":
		default:
			continue
		}
		l := new(letter)
		data, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(data, l)
		}
		s := n.targets[l.Target]
		if err != nil || s == nil || n.path(l) != name {
			n.log.Warn("a notification is dropped: its target is gone, or its file is not readable", "file", filepath.Base(name), "target", l.Target, "error", err)
			os.Remove(name)
			continue
		}
		s.queue = append(s.queue, l)
	}
	return nil
}
