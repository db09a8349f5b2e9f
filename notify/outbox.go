package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"
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

// store writes a letter's file. Where it cannot be written the message goes out all the
// same, and only a restart loses it.
func (n *Notifier) store(l *letter) {
	if n.o.Dir == "" {
		return
	}
	data, err := json.Marshal(l)
	if err == nil {
		err = os.WriteFile(n.path(l)+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(n.path(l)+".new", n.path(l))
	}
	if err != nil {
		n.log.Warn("a notification is not kept: a restart would lose it", "target", l.Target, "error", err)
	}
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
	names, err := filepath.Glob(filepath.Join(n.o.Dir, "*.json"))
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	slices.Sort(names) // by time
	for _, name := range names {
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
