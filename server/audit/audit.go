// Package audit keeps who changed what: a line of JSON for each change that was made or
// tried, in files that only grow. Package server writes it.
//
// What is promised: a line is in the file when Write returns, and killing the process
// loses none; numbers of lines grow by one, so that a line which somebody took out is
// missed. Files are readable for their owner alone, a new one begins by size, and old
// ones go by age. Arguments, values and secrets have no field here.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Outcomes of what was tried.
const (
	OK      = "ok"
	Refused = "refused" // who asked may not, or asked for what cannot be
	Failed  = "failed"  // by an error of the server
)

// Entry is a line.
type Entry struct {
	N       uint64    `json:"n"` // from 1, without gaps
	Time    time.Time `json:"time"`
	Op      string    `json:"op"` // what: the operation's name in the REST API, or login, logout, token, admin
	Outcome string    `json:"outcome"`
	Status  int       `json:"status,omitempty"` // of the answer
	Error   string    `json:"error,omitempty"`  // its code
	Owner   string    `json:"owner,omitempty"`  // who
	Token   string    `json:"token,omitempty"`  // id of the token; "" where the place, a certificate or nothing said who
	By      string    `json:"by,omitempty"`     // how: token, session, certificate, place or schedule
	Address string    `json:"address,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Request string    `json:"request,omitempty"` // its id, as in the access log
	Targets []string  `json:"targets,omitempty"` // ids or names, the first 100
	More    int       `json:"more,omitempty"`    // targets beyond those
	Note    string    `json:"note,omitempty"`
}

// Limits of texts in an entry: they come from clients.
const (
	maxTargets = 100
	maxText    = 300
)

// Options say where lines go, and for how long.
type Options struct {
	Dir     string
	MaxFile int64         // bytes, after which a new file begins; 0 is 16 MiB
	Keep    time.Duration // since the last line of a file; 0 is for ever
	Log     *slog.Logger  // nil discards
}

// Log is the files. It is safe for concurrent use.
type Log struct {
	o   Options
	log *slog.Logger

	mu     sync.Mutex
	file   *os.File
	size   int64
	next   uint64
	failed uint64
	broken bool // the last line could not be written, and that was said
	swept  time.Time
}

const prefix, suffix = "audit-", ".jsonl"

// Open goes on where the last process ended. A line that it did not finish is ended.
func Open(o Options) (*Log, error) {
	if o.MaxFile <= 0 {
		o.MaxFile = 16 << 20
	}
	l := &Log{o: o, log: o.Log, next: 1}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	all, err := l.files()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return l, l.begin()
	}
	last := all[len(all)-1]
	data, err := os.ReadFile(last.path)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l.next = last.first
	for line := range bytes.Lines(data) {
		var e Entry
		if json.Unmarshal(line, &e) == nil && e.N >= l.next {
			l.next = e.N + 1
		}
	}
	if l.file, err = os.OpenFile(last.path, os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if err := l.file.Chmod(0o600); err != nil {
		l.file.Close()
		return nil, fmt.Errorf("audit: %w", err)
	}
	l.size = int64(len(data))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		if err := l.append([]byte("\n")); err != nil {
			l.file.Close()
			return nil, err
		}
	}
	l.sweep(time.Now())
	return l, nil
}

// numbered is a file and the number of its first line.
type numbered struct {
	path  string
	first uint64
}

// files are all there are, the oldest first.
func (l *Log) files() ([]numbered, error) {
	entries, err := os.ReadDir(l.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	var all []numbered
	for _, e := range entries {
		text, is := strings.CutPrefix(e.Name(), prefix)
		text, ends := strings.CutSuffix(text, suffix)
		n, err := strconv.ParseUint(text, 10, 64)
		if is && ends && err == nil && e.Type().IsRegular() {
			all = append(all, numbered{filepath.Join(l.o.Dir, e.Name()), n})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return all, nil
}

// begin makes a file for the lines from l.next on.
func (l *Log) begin() error {
	path := filepath.Join(l.o.Dir, fmt.Sprintf("%s%012d%s", prefix, l.next, suffix))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.size = f, 0
	return nil
}

// append writes all of b, or takes back what it wrote.
func (l *Log) append(b []byte) error {
	n, err := l.file.Write(b)
	if err != nil {
		if n > 0 {
			l.file.Truncate(l.size)
		}
		return fmt.Errorf("audit: %w", err)
	}
	l.size += int64(n)
	return nil
}

// Write keeps an entry, with the next number and, where it has none, the time. That it
// could not is logged, once until it can, and counted.
func (l *Log) Write(e Entry) {
	e.trim()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return // closed
	}
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	e.N = l.next
	line, err := json.Marshal(&e)
	if err == nil && l.size > 0 && l.size+int64(len(line)) > l.o.MaxFile {
		err = l.begin()
		l.sweep(e.Time)
	}
	if err == nil {
		err = l.append(append(line, '\n'))
	}
	if err != nil {
		l.failed++
		if !l.broken {
			l.log.Error("changes are not in the audit log", "error", err)
		}
		l.broken = true
		return
	}
	l.broken = false
	l.next++
	if e.Time.Sub(l.swept) > time.Hour {
		l.sweep(e.Time)
	}
}

func (e *Entry) trim() {
	cut := func(s string) string {
		if len(s) > maxText {
			s = s[:maxText]
		}
		return strings.ToValidUTF8(s, "")
	}
	e.Owner, e.Agent, e.Request, e.Note, e.Address = cut(e.Owner), cut(e.Agent), cut(e.Request), cut(e.Note), cut(e.Address)
	if len(e.Targets) > maxTargets {
		e.More += len(e.Targets) - maxTargets
		e.Targets = e.Targets[:maxTargets]
	}
	e.Targets = slices.Clone(e.Targets)
	for i := range e.Targets {
		e.Targets[i] = cut(e.Targets[i])
	}
}

// sweep removes files whose last line is older than what is kept; never that in use.
// l.mu is held, or l not shared yet.
func (l *Log) sweep(now time.Time) {
	l.swept = now
	if l.o.Keep <= 0 {
		return
	}
	all, err := l.files()
	if err != nil {
		l.log.Warn("old files of the audit log stay", "error", err)
		return
	}
	for _, f := range all[:max(0, len(all)-1)] {
		info, err := os.Stat(f.path)
		if err != nil || now.Sub(info.ModTime()) < l.o.Keep {
			continue
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.log.Warn("old files of the audit log stay", "error", err)
		}
	}
}

// Failed is how many entries could not be written.
func (l *Log) Failed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close closes the file. Entries after it are lost.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
