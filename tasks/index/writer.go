package index

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// writer brings changes into the file, in one transaction a batch. What it keeps in
// memory are jobs and names that it has met, and sums until the end of the batch.
type writer struct {
	c     *conn
	jobs  map[string]*job
	names map[string]int64
	next  int64 // free position
	time  int64 // of the newest job

	dirty   map[*job]bool
	bits    map[bitKey][]uint16 // bits to set, or with clearBit to clear, in order
	counts  map[countKey]countSum
	owners  map[int64]ownerSum
	blobs   map[string]int64
	damaged int64 // records that cannot be read
}

type bitKey struct {
	dim
	chunk int64
}

const clearBit = 1 << 15

type countKey struct{ owner, queue, lane, state, held int64 }

type countSum struct{ n, bytes int64 }

type ownerSum struct{ jobs, running, bytes int64 }

// cached is how many jobs and names the writer keeps between batches.
const cached = 20_000

func newWriter(c *conn) (*writer, error) {
	w := &writer{c: c}
	return w, w.reset()
}

// reset forgets all but what is in the file.
func (w *writer) reset() error {
	w.jobs, w.names = map[string]*job{}, map[string]int64{}
	w.clear()
	return w.c.query("SELECT next, time FROM state", nil, func(r []driver.Value) error {
		w.next, w.time = number(r[0]), number(r[1])
		return nil
	})
}

// clear forgets what the batch has summed up.
func (w *writer) clear() {
	w.dirty, w.bits, w.counts = map[*job]bool{}, map[bitKey][]uint16{}, map[countKey]countSum{}
	w.owners, w.blobs = map[int64]ownerSum{}, map[string]int64{}
}

// apply writes a batch, whose last change has number seq. Of several changes of a record
// only the last is written.
func (w *writer) apply(changes []change, seq uint64, now time.Time) error {
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := w.changeAll(changes)
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = w.c.exec("UPDATE state SET seq = ?, next = ?, time = ?, seen = ?", int64(seq), w.next, w.time, now.UnixNano())
	}
	if err == nil {
		err = w.c.exec("COMMIT")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("index: write: %w", err), w.c.exec("ROLLBACK"), w.reset())
	}
	w.clear()
	if len(w.jobs) > cached {
		w.jobs = map[string]*job{}
	}
	if len(w.names) > cached {
		w.names = map[string]int64{}
	}
	return nil
}

func (w *writer) changeAll(changes []change) error {
	type key struct {
		id string
		n  int
	}
	last := make(map[key]*change, len(changes))
	for i := range changes {
		if c := &changes[i]; c.kind != other && c.kind != damagedRecord {
			last[key{c.id, c.n}] = c
		} else if c.kind == damagedRecord {
			w.damaged++
		}
	}
	final := make([]*change, 0, len(last))
	for i := range changes {
		if c := &changes[i]; last[key{c.id, c.n}] == c {
			final = append(final, c)
		}
	}
	if err := w.load(final); err != nil {
		return err
	}
	// What a job's tasks need of it must be there before them, and until they are gone.
	for _, c := range final {
		switch {
		case c.kind == jobRecord && !c.gone:
			if err := w.putJob(c.id, c.job); err != nil {
				return err
			}
		case c.kind == envRecord:
			if err := w.putEnv(c); err != nil {
				return err
			}
		}
	}
	if err := w.putTasks(final); err != nil {
		return err
	}
	for _, c := range final {
		if c.kind == jobRecord && c.gone {
			if err := w.dropJob(c.id); err != nil {
				return err
			}
		}
	}
	return nil
}

// group is how many rows one statement reads or writes: each has its price.
const group = 32

func marks(n int) string { return strings.Repeat("?,", n-1) + "?" }

// load reads the jobs of changes that are not in memory.
func (w *writer) load(changes []*change) error {
	var ids []any
	asked := map[string]bool{}
	for _, c := range changes {
		if (c.kind == taskRecord || c.kind == jobRecord) && w.jobs[c.id] == nil && !asked[c.id] {
			asked[c.id] = true
			ids = append(ids, c.id)
		}
	}
	for part := range slices.Chunk(ids, group) {
		for len(part) < group && len(ids) > group {
			part = append(part, "")
		}
		err := w.c.query("SELECT "+jobColumns+" FROM jobs WHERE id IN ("+marks(len(part))+")", part, func(r []driver.Value) error {
			j := scanJob(r)
			w.jobs[j.id] = j
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// name is the id of a name; 0 is "".
func (w *writer) name(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if id, ok := w.names[s]; ok {
		return id, nil
	}
	if err := w.c.exec("INSERT OR IGNORE INTO names(name) VALUES(?)", s); err != nil {
		return 0, err
	}
	var id int64
	err := w.c.query("SELECT id FROM names WHERE name = ?", []any{s}, func(r []driver.Value) error { id = number(r[0]); return nil })
	w.names[s] = id
	return id, err
}

// setBit puts pos into a set, or with sign -1 takes it out.
func (w *writer) setBit(d dim, pos, sign int64) {
	k := bitKey{d, chunkOf(pos)}
	bit := uint16(pos & (chunkSize - 1))
	if sign < 0 {
		bit |= clearBit
	}
	w.bits[k] = append(w.bits[k], bit)
}

func (w *writer) count(k countKey, n, bytes int64) {
	s := w.counts[k]
	w.counts[k] = countSum{s.n + n, s.bytes + bytes}
}

func (w *writer) ownerAdds(owner int64, s ownerSum) {
	o := w.owners[owner]
	w.owners[owner] = ownerSum{o.jobs + s.jobs, o.running + s.running, o.bytes + s.bytes}
}

func (w *writer) refer(refs []byte, sign int64) {
	for ; len(refs) >= refBytes; refs = refs[refBytes:] {
		w.blobs[string(refs[:refBytes])] += sign
	}
}

// flush writes what the batch has summed up.
func (w *writer) flush() error {
	for _, write := range []func() error{w.flushJobs, w.flushBits, w.flushSums} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) flushBits() error {
	keys := slices.SortedFunc(maps.Keys(w.bits), func(a, b bitKey) int {
		return cmp.Or(cmp.Compare(a.dim.dim, b.dim.dim), cmp.Compare(a.val, b.val), cmp.Compare(a.chunk, b.chunk))
	})
	for _, k := range keys {
		var s set
		var old []byte
		err := w.c.query("SELECT data FROM bits WHERE dim = ? AND val = ? AND chunk = ?", []any{k.dim.dim, k.val, k.chunk}, func(r []driver.Value) error {
			old = bytes.Clone(blob(r[0]))
			return nil
		})
		if err != nil {
			return err
		}
		s.decode(old)
		for _, op := range w.bits[k] {
			if op&clearBit != 0 {
				s.remove(int(op &^ clearBit))
			} else {
				s.add(int(op))
			}
		}
		switch data := s.encode(); {
		case bytes.Equal(data, old):
		case len(data) == 0:
			err = w.c.exec("DELETE FROM bits WHERE dim = ? AND val = ? AND chunk = ?", k.dim.dim, k.val, k.chunk)
		default:
			err = w.c.exec("INSERT OR REPLACE INTO bits VALUES(?, ?, ?, ?)", k.dim.dim, k.val, k.chunk, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) flushSums() error {
	for k, s := range w.counts {
		if s == (countSum{}) {
			continue
		}
		err := w.c.exec(`INSERT INTO counts VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, bytes = bytes + excluded.bytes`,
			k.owner, k.queue, k.lane, k.state, k.held, s.n, s.bytes)
		if err != nil {
			return err
		}
	}
	for owner, s := range w.owners {
		if s == (ownerSum{}) {
			continue
		}
		err := w.c.exec(`INSERT INTO owners VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET
			jobs = jobs + excluded.jobs, running = running + excluded.running, bytes = bytes + excluded.bytes`, owner, s.jobs, s.running, s.bytes)
		if err != nil {
			return err
		}
	}
	for ref, n := range w.blobs {
		if n == 0 {
			continue
		}
		ref := []byte(ref)
		if err := w.c.exec("INSERT INTO blobs VALUES(?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", ref, n); err != nil {
			return err
		}
		if n < 0 {
			if err := w.c.exec("DELETE FROM blobs WHERE ref = ? AND n <= 0", ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// putEnv counts the blobs of an environment.
func (w *writer) putEnv(c *change) error {
	err := w.c.query("SELECT refs FROM envs WHERE subject = ?", []any{c.id}, func(r []driver.Value) error {
		w.refer(blob(r[0]), -1)
		return nil
	})
	if err != nil {
		return err
	}
	if len(c.refs) == 0 {
		return w.c.exec("DELETE FROM envs WHERE subject = ?", c.id)
	}
	w.refer(c.refs, 1)
	return w.c.exec("INSERT OR REPLACE INTO envs VALUES(?, ?)", c.id, c.refs)
}
