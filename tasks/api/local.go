package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Local says where the server of a data directory listens, so that who works on its
// machine finds it. It is in the directory's server.json, which its user alone can read.
type Local struct {
	URL     string    `json:"url"`
	Host    string    `json:"host,omitempty"`
	Pid     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

const localName = "server.json"

// ErrNoLocal says that no server runs on a data directory.
var ErrNoLocal = errors.New("no server runs here")

// DataDir is the data directory that nobody has named: RPIPE_DATA, or rpipe in the
// user's state directory.
func DataDir() (string, error) {
	if dir := os.Getenv("RPIPE_DATA"); dir != "" {
		return filepath.Abs(dir)
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("the data directory: %w; say data: in rpipe.yaml, or set RPIPE_DATA", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "rpipe"), nil
}

// ReadLocal finds the server of a data directory. Its error is ErrNoLocal where none has
// said that it runs.
func ReadLocal(dir string) (Local, error) {
	var l Local
	data, err := os.ReadFile(filepath.Join(dir, localName))
	if errors.Is(err, fs.ErrNotExist) {
		return l, fmt.Errorf("%s: %w", dir, ErrNoLocal)
	}
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return l, fmt.Errorf("%s: %w", filepath.Join(dir, localName), err)
	}
	return l, nil
}

// Check is an error where the server is not on this machine, as where machines share a
// home, or has been killed (ErrNoLocal): somebody else may listen at its address now.
func (l Local) Check() error {
	if host, err := os.Hostname(); err == nil && l.Host != "" && l.Host != host {
		return fmt.Errorf("the task server of this data directory is on %s, and this is %s: say where it is with RPIPE_URL, or where it is no more, as after a crash there, remove the directory's %s", l.Host, host, localName)
	}
	if l.Pid <= 0 {
		return nil
	}
	p, err := os.FindProcess(l.Pid)
	if err == nil {
		err = p.Signal(syscall.Signal(0))
	}
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("process %d has ended: %w", l.Pid, ErrNoLocal)
	}
	return nil
}

// Write makes l what ReadLocal finds.
func (l Local) Write(dir string) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, localName+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, localName))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// RemoveLocal undoes Write.
func RemoveLocal(dir string) error {
	err := os.Remove(filepath.Join(dir, localName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
