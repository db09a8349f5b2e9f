package index

import (
	"database/sql"
	"math"
)

// source gives the chunks of a set in order. Which comes first is said by direction:
// 1 is ascending, -1 descending.
type source interface {
	// head is the chunk that it is at; false at its end.
	head() (chunk int64, ok bool)
	// seek goes on to chunk, or to the first after it that there is.
	seek(chunk int64) error
	// into adds what the set has of head.
	into(s *set) error
	close()
}

// union is of sets in the file.
type union struct {
	r         *reader
	direction int64
	lo, hi    int64 // chunks
	parts     []*member
}

// member is one set of a union.
type member struct {
	dim
	rows  *sql.Rows // nil at its end
	chunk int64
	data  sql.RawBytes
}

func newUnion(r *reader, dims []dim, direction, lo, hi int64) (*union, error) {
	u := &union{r: r, direction: direction, lo: lo, hi: hi}
	for _, d := range dims {
		p := &member{dim: d}
		u.parts = append(u.parts, p)
		if err := u.open(p, lo, hi); err != nil {
			u.close()
			return nil, err
		}
	}
	return u, nil
}

func (u *union) open(p *member, lo, hi int64) (err error) {
	if p.rows != nil {
		p.rows.Close()
	}
	order := ""
	if u.direction < 0 {
		order = " DESC"
	}
	p.rows, err = u.r.tx.QueryContext(u.r.ctx, "SELECT chunk, data FROM bits WHERE dim = ? AND val = ? AND chunk BETWEEN ? AND ? ORDER BY chunk"+order,
		p.dim.dim, p.val, lo, hi)
	if err != nil {
		return err
	}
	return p.next()
}

func (p *member) next() error {
	if p.rows.Next() {
		return p.rows.Scan(&p.chunk, &p.data)
	}
	err := p.rows.Err()
	p.rows.Close()
	p.rows = nil
	return err
}

func (u *union) head() (chunk int64, ok bool) {
	for _, p := range u.parts {
		if p.rows != nil && (!ok || (p.chunk-chunk)*u.direction < 0) {
			chunk, ok = p.chunk, true
		}
	}
	return chunk, ok
}

// stepped is how many rows are stepped over before the place is looked up.
const stepped = 16

func (u *union) seek(chunk int64) error {
	for _, p := range u.parts {
		for n := 0; p.rows != nil && (p.chunk-chunk)*u.direction < 0; n++ {
			var err error
			switch {
			case n < stepped:
				err = p.next()
			case u.direction > 0:
				err = u.open(p, chunk, u.hi)
			default:
				err = u.open(p, u.lo, chunk)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *union) into(s *set) error {
	at, _ := u.head()
	for _, p := range u.parts {
		if p.rows != nil && p.chunk == at {
			s.decode(p.data)
		}
	}
	return nil
}

func (u *union) close() {
	for _, p := range u.parts {
		if p.rows != nil {
			p.rows.Close()
		}
	}
}

// hits are the tasks of which a text has been found: in their message, or that of their
// job. Without tasks, only the jobs themselves.
type hits struct {
	r         *reader
	direction int64
	lo, hi    int64 // positions
	jobs      ranges
	messages  ranges
}

// ranges are the positions that one search has found, a range each.
type ranges struct {
	query    string // with the first and last position that it may find
	match    string
	rows     *sql.Rows // nil at its end
	from, to int64     // of the range it is at: to-1 is the last
}

func newHits(r *reader, all []string, jobsOnly bool, direction, lo, hi int64) (*hits, error) {
	h := &hits{r: r, direction: direction, lo: lo, hi: hi}
	order := " ORDER BY rowid"
	if direction < 0 {
		order += " DESC"
	}
	var err error
	if h.jobs.match, err = r.match("job_vocabulary", all); err != nil {
		return nil, err
	}
	h.jobs.query = `SELECT rowid, rowid + (SELECT room FROM jobs WHERE base = job_words.rowid) FROM job_words WHERE job_words MATCH ? AND rowid BETWEEN ? AND ?` + order
	if jobsOnly {
		h.jobs.query = `SELECT rowid, rowid + 1 FROM job_words WHERE job_words MATCH ? AND rowid BETWEEN ? AND ?` + order
	} else {
		if h.messages.match, err = r.match("task_vocabulary", all); err != nil {
			return nil, err
		}
		h.messages.query = `SELECT rowid, rowid + 1 FROM task_words WHERE task_words MATCH ? AND rowid BETWEEN ? AND ?` + order
		if p, ok, err := r.jobAt(lo); err != nil {
			return nil, err
		} else if ok {
			h.lo = p.base // which stands for the others
		}
	}
	for _, rs := range []*ranges{&h.jobs, &h.messages} {
		if rs.match == "" {
			continue
		}
		if err := h.open(rs, h.lo, hi-1); err != nil {
			h.close()
			return nil, err
		}
	}
	return h, nil
}

func (h *hits) open(rs *ranges, lo, hi int64) (err error) {
	if rs.rows != nil {
		rs.rows.Close()
	}
	if rs.rows, err = h.r.tx.QueryContext(h.r.ctx, rs.query, rs.match, lo, hi); err != nil {
		return err
	}
	return rs.next()
}

func (rs *ranges) next() error {
	if rs.rows.Next() {
		return rs.rows.Scan(&rs.from, &rs.to)
	}
	err := rs.rows.Err()
	rs.rows.Close()
	rs.rows = nil
	return err
}

// at is the chunk of the first position of the range that is not passed yet.
func (h *hits) at(rs *ranges) int64 {
	if h.direction > 0 {
		return chunkOf(max(rs.from, h.lo))
	}
	return chunkOf(min(rs.to, h.hi) - 1)
}

func (h *hits) head() (chunk int64, ok bool) {
	for _, rs := range []*ranges{&h.jobs, &h.messages} {
		if rs.rows == nil {
			continue
		}
		if c := h.at(rs); !ok || (c-chunk)*h.direction < 0 {
			chunk, ok = c, true
		}
	}
	return chunk, ok
}

func (h *hits) seek(chunk int64) error {
	if h.direction > 0 {
		h.lo = max(h.lo, chunk<<chunkBits)
	} else {
		h.hi = min(h.hi, (chunk+1)<<chunkBits)
	}
	for _, rs := range []*ranges{&h.jobs, &h.messages} {
		for n := 0; rs.rows != nil && (rs.to <= h.lo || rs.from >= h.hi); n++ {
			err := error(nil)
			if n == stepped*16 && h.direction < 0 {
				err = h.open(rs, math.MinInt64, h.hi-1)
			} else {
				err = rs.next()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hits) into(s *set) error {
	chunk, _ := h.head()
	start := chunk << chunkBits
	for _, rs := range []*ranges{&h.jobs, &h.messages} {
		for rs.rows != nil && h.at(rs) == chunk {
			s.addRange(rs.from-start, rs.to-start)
			if h.direction > 0 && rs.to > start+chunkSize || h.direction < 0 && rs.from < start {
				break // it goes on in the next chunk
			}
			if err := rs.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hits) close() {
	for _, rs := range []*ranges{&h.jobs, &h.messages} {
		if rs.rows != nil {
			rs.rows.Close()
		}
	}
}
