package index

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rpipe-dev/rpipe/tasks"
)

// schema is what is in the file. Times are nanoseconds since 1970, 0 for none. Names of
// owners, queues, workers and hosts are their id in names.
const schema = `
CREATE TABLE state(
	epoch TEXT, seq INTEGER, -- of the stream: what is in the file is what it was at seq
	next INTEGER,            -- the next free position
	time INTEGER,            -- of the newest job
	seen INTEGER,            -- when the file was written
	boot TEXT,               -- of the system, where the file is open: see sound
	label TEXT);             -- tells the file from others, for cursors
INSERT INTO state VALUES('', 0, 1, 0, 0, '', lower(hex(randomblob(4))));

CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE jobs(
	base INTEGER PRIMARY KEY, -- its position; task n is at base + n
	room INTEGER,             -- how many positions it has, its own too
	id TEXT NOT NULL UNIQUE, seq INTEGER, -- 0: its record is not there
	name TEXT, owner INTEGER, labels TEXT, created INTEGER,
	time INTEGER,             -- created, but not before that of the job before it
	n INTEGER, is_array INTEGER, queue INTEGER, lane INTEGER, depends_on TEXT, not_before INTEGER,
	ttl INTEGER, max_running INTEGER, retried_from TEXT, dropped INTEGER, deleted INTEGER,
	bytes INTEGER, refs BLOB, -- of its arguments: 32 bytes each
	tasks INTEGER,            -- how many are there
	missing INTEGER,          -- how many more should be; 1 at least where it is being deleted
	counts TEXT,              -- by state
	started INTEGER, ended INTEGER);
CREATE INDEX jobs_time ON jobs(time);
CREATE INDEX jobs_missing ON jobs(base) WHERE missing > 0;

CREATE TABLE tasks(
	pos INTEGER PRIMARY KEY,
	seq INTEGER, state INTEGER, queue INTEGER, lane INTEGER, held INTEGER,
	submitted INTEGER, not_before INTEGER, started INTEGER, ended INTEGER, changed INTEGER,
	attempt INTEGER, worker INTEGER, host INTEGER, cause TEXT, message TEXT,
	size INTEGER, ref BLOB, user INTEGER, system INTEGER, rss INTEGER,
	moved_to TEXT, moved_from TEXT, expires INTEGER);
CREATE INDEX tasks_due ON tasks(not_before) WHERE held = 1 AND not_before > 0;
CREATE INDEX tasks_expires ON tasks(expires) WHERE expires > 0;

CREATE TABLE bits(dim INTEGER, val INTEGER, chunk INTEGER, data BLOB, PRIMARY KEY(dim, val, chunk)) WITHOUT ROWID;
CREATE VIRTUAL TABLE task_words USING fts5(text, content='', contentless_delete=1, detail=none, tokenize='ascii');
CREATE VIRTUAL TABLE job_words USING fts5(text, content='', contentless_delete=1, detail=none, tokenize='ascii');
CREATE VIRTUAL TABLE task_vocabulary USING fts5vocab(task_words, row);
CREATE VIRTUAL TABLE job_vocabulary USING fts5vocab(job_words, row);

CREATE TABLE counts(owner INTEGER, queue INTEGER, lane INTEGER, state INTEGER, held INTEGER,
	n INTEGER, bytes INTEGER, PRIMARY KEY(owner, queue, lane, state, held)) WITHOUT ROWID;
CREATE TABLE owners(owner INTEGER PRIMARY KEY, jobs INTEGER, running INTEGER, bytes INTEGER);
CREATE TABLE blobs(ref BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID;
CREATE TABLE envs(subject TEXT PRIMARY KEY, refs BLOB) WITHOUT ROWID;
`

// version tells files of this schema from others.
func version() int64 {
	h := fnv.New32a()
	fmt.Fprint(h, schema, tasks.States)
	return int64(h.Sum32() >> 1)
}

// dsn is the address of the file for the driver. Nothing is synced while it is fed: what a
// power cut damages is made anew.
func dsn(path string, reading bool) string {
	q := url.Values{"_pragma": {"synchronous(off)", "temp_store(memory)", "busy_timeout(10000)"}}
	if reading {
		q.Add("_pragma", "query_only(on)")
		q.Add("_pragma", "cache_size(-4096)")
	} else {
		q.Add("_pragma", "journal_mode(wal)")
		q.Add("_pragma", "cache_size(-32768)")
		q.Add("_pragma", "wal_autocheckpoint(4000)")
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// file is an open database: one connection that writes, and others that read.
type file struct {
	path  string
	write *conn
	read  *sql.DB
	label string // of the state

	names sync.Map // id to name, for readers
}

// openFile opens or makes the file at path; one that is not sound is dropped before,
// which fresh says.
func openFile(path string) (f *file, fresh bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, false, fmt.Errorf("index: %w", err)
	}
	made, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("index: %w", err)
	}
	info, err := made.Stat()
	made.Close()
	if err != nil {
		return nil, false, fmt.Errorf("index: %w", err)
	}
	if info.Size() > 0 {
		if f, err := attach(path); err == nil {
			return f, false, nil
		} else if !damaged(err) {
			return nil, false, fmt.Errorf("index %s: %w", path, err)
		}
		if err := remove(path); err != nil {
			return nil, false, err
		}
		return openFresh(path)
	}
	return openFresh(path)
}

func openFresh(path string) (*file, bool, error) {
	if err := create(path); err != nil {
		return nil, false, fmt.Errorf("index %s: %w", path, err)
	}
	f, err := attach(path)
	if err != nil {
		return nil, false, fmt.Errorf("index %s: %w", path, err)
	}
	return f, true, nil
}

func create(path string) error {
	c, err := connect(dsn(path, false))
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.run("BEGIN; " + schema); err != nil {
		return err
	}
	return c.run(fmt.Sprintf("PRAGMA user_version = %d; COMMIT", version()))
}

// attach opens a file that is there and sound.
func attach(path string) (*file, error) {
	c, err := connect(dsn(path, false))
	if err != nil {
		return nil, err
	}
	f := &file{path: path, write: c}
	if err := f.sound(); err != nil {
		c.close()
		return nil, err
	}
	f.read, err = sql.Open("sqlite", dsn(path, true))
	if err != nil {
		c.close()
		return nil, err
	}
	f.read.SetMaxOpenConns(8)
	f.read.SetMaxIdleConns(8)
	return f, nil
}

// errUnsound says that a file is to be made anew.
var errUnsound = errors.New("of another version, or cut off by a crash of the system")

// sound checks the version of the file, and that the system has not crashed while it was
// open: since nothing is synced, what is in it then is anybody's guess. A process that is
// killed does no harm.
func (f *file) sound() error {
	var v int64
	err := f.write.query("PRAGMA user_version", nil, func(r []driver.Value) error { v, _ = r[0].(int64); return nil })
	if err != nil {
		return err
	}
	if v != version() {
		return errUnsound
	}
	var boot string
	err = f.write.query("SELECT boot, label FROM state", nil, func(r []driver.Value) error {
		boot, f.label = text(r[0]), text(r[1])
		return nil
	})
	if err != nil {
		return err
	}
	now := bootID()
	if boot != "" && boot != now {
		return errUnsound
	}
	if err := f.write.exec("UPDATE state SET boot = ?", now); err != nil {
		return err
	}
	// On the disk, before there is anything that could be damaged. Where that has no room
	// the server tells, and what is here can be read.
	if _, err := f.settle(); damaged(err) {
		return err
	}
	return f.write.run("PRAGMA synchronous = off")
}

// settle brings all that was written, also long ago, from the log into the file and onto
// the disk. It is false where another program reads the file just now.
func (f *file) settle() (done bool, err error) {
	// SQLite syncs the file where it has something to bring there.
	if err := f.write.run("PRAGMA synchronous = full; UPDATE state SET seen = seen + 1"); err != nil {
		return false, err
	}
	err = f.write.query("PRAGMA wal_checkpoint", nil, func(r []driver.Value) error {
		done = number(r[0]) == 0 && number(r[1]) == number(r[2])
		return nil
	})
	return done, err
}

// close says that the file is whole, as it is once that is true after a power cut, too.
func (f *file) close() error {
	err := f.read.Close()
	done, unsettled := f.settle()
	if done && unsettled == nil {
		unsettled = f.write.exec("UPDATE state SET boot = ''")
	}
	return errors.Join(err, unsettled, f.write.close())
}

// drop closes the file and removes it.
func (f *file) drop() error {
	f.read.Close()
	f.write.close()
	return remove(f.path)
}

func remove(path string) error {
	for _, end := range []string{"-wal", "-shm", "-journal", ""} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("index: %w", err)
		}
	}
	return nil
}

// damaged reports whether an error says that the file must be made anew.
func damaged(err error) bool {
	if errors.Is(err, errUnsound) {
		return true
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return true
	case sqlite3.SQLITE_ERROR: // a table is not there
		return strings.Contains(e.Error(), "no such table") || strings.Contains(e.Error(), "no such column")
	case sqlite3.SQLITE_IOERR: // the file was cut short
		return e.Code() == sqlite3.SQLITE_IOERR_SHORT_READ
	}
	return false
}

// conn is the connection that writes. It is used by one goroutine at a time, and goes
// past database/sql, which takes as long as the statements themselves.
type conn struct {
	c     driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
}

func connect(dsn string) (*conn, error) {
	c, err := new(sqlite.Driver).Open(dsn)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, stmts: map[string]driver.Stmt{}}, nil
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		s.Close()
	}
	return c.c.Close()
}

// run executes statements once.
func (c *conn) run(statements string) error {
	_, err := c.c.(driver.ExecerContext).ExecContext(context.Background(), statements, nil)
	return err
}

// prepared keeps statements: there are a few dozens of texts.
func (c *conn) prepared(text string) (driver.Stmt, error) {
	if s := c.stmts[text]; s != nil {
		return s, nil
	}
	s, err := c.c.(driver.ConnPrepareContext).PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	c.stmts[text] = s
	return s, nil
}

func (c *conn) named(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec executes a statement with arguments: int64, string, []byte or nil.
func (c *conn) exec(text string, args ...any) error {
	s, err := c.prepared(text)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), c.named(args))
	return err
}

// query calls f with each row, which is valid until f returns.
func (c *conn) query(text string, args []any, f func([]driver.Value) error) error {
	s, err := c.prepared(text)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.named(args))
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

func number(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func text(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}
