package index

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks"
)

// reader asks in a transaction.
type reader struct {
	ctx  context.Context
	tx   *sql.Tx
	file *file
}

type scanner = func(...any) error

// each calls f for each row.
func (r *reader) each(text string, args []any, f func(scanner) error) error {
	rows, err := r.tx.QueryContext(r.ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the one row; false where there is none.
func (r *reader) one(text string, args []any, into ...any) (bool, error) {
	err := r.tx.QueryRowContext(r.ctx, text, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// id is that of a name; false where nothing has it.
func (r *reader) id(name string) (id int64, ok bool, err error) {
	ok, err = r.one("SELECT id FROM names WHERE name = ?", []any{name}, &id)
	return id, ok, err
}

// name is that of an id.
func (r *reader) name(id int64) (string, error) {
	if id == 0 {
		return "", nil
	}
	if v, ok := r.file.names.Load(id); ok {
		return v.(string), nil
	}
	var name string
	if _, err := r.one("SELECT name FROM names WHERE id = ?", []any{id}, &name); err != nil {
		return "", err
	}
	r.file.names.Store(id, name)
	return name, nil
}

// place is a job where only its place and what its tasks have of it matter.
type place struct {
	base, room int64
	id, name   string
	owner      int64
	labels     string
}

func (p *place) has(pos int64) bool { return pos >= p.base && pos < p.base+p.room }

const placeColumns = "base, room, id, name, owner, labels"

// jobAt is the job whose positions have pos; false where none has.
func (r *reader) jobAt(pos int64) (p place, ok bool, err error) {
	ok, err = r.one("SELECT "+placeColumns+" FROM jobs WHERE base <= ? ORDER BY base DESC LIMIT 1", []any{pos},
		&p.base, &p.room, &p.id, &p.name, &p.owner, &p.labels)
	return p, ok && p.has(pos), err
}

// jobOf is the job with an id.
func (r *reader) jobOf(id string) (p place, ok bool, err error) {
	ok, err = r.one("SELECT "+placeColumns+" FROM jobs WHERE id = ?", []any{id}, &p.base, &p.room, &p.id, &p.name, &p.owner, &p.labels)
	return p, ok, err
}

// idOf is the id of the task at a position.
func (p *place) idOf(pos int64) string { return tasks.TaskID(p.id, int(pos-p.base)) }

// A cursor is a position in this file, and the id of what is there: another file, made
// anew, has it elsewhere.
func (r *reader) cursor(pos int64, id string) string {
	return r.file.label + "-" + strconv.FormatInt(pos, 36) + "-" + id
}

// seek is where a cursor points; last says that of a job it is the last position.
func (r *reader) seek(cursor string, last bool) (int64, error) {
	label, rest, _ := strings.Cut(cursor, "-")
	number, id, _ := strings.Cut(rest, "-")
	pos, err := strconv.ParseInt(number, 36, 64)
	job, n, badID := tasks.ParseID(id)
	if err != nil || badID != nil {
		return 0, ErrCursor
	}
	if label == r.file.label {
		return pos, nil
	}
	p, ok, err := r.jobOf(job)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return 0, ErrCursor
	case n == 0 && last:
		return p.base + p.room - 1, nil
	}
	return p.base + int64(n), nil
}

// list is numbers for an IN.
func list(ns []int64) string {
	var b []byte
	for i, n := range ns {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(b)
}
