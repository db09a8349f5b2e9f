package index

import (
	"database/sql/driver"
	"fmt"

	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// sorter sorts records in a table, as many as there are.
type sorter struct{ c *conn }

func (s *sorter) begin() error {
	return s.wrap(s.c.run("PRAGMA temp_store = file; CREATE TEMP TABLE found(time INTEGER, seq INTEGER, subject TEXT, data BLOB); BEGIN"))
}

// end drops the table. Where that fails, it goes with the connection.
func (s *sorter) end() {
	_ = s.c.run("ROLLBACK") // where it was not sorted
	_ = s.c.run("DROP TABLE IF EXISTS temp.found")
}

func (s *sorter) add(time int64, r broker.Record) error {
	return s.wrap(s.c.exec("INSERT INTO found VALUES(?, ?, ?, ?)", time, int64(r.Seq), r.Subject, r.Data))
}

// sorted calls f with all records by time.
func (s *sorter) sorted(f func([]broker.Record) error) error {
	if err := s.wrap(s.c.run("COMMIT; CREATE INDEX temp.found_time ON found(time, seq)")); err != nil {
		return err
	}
	var time, seq int64 = -1, 0
	for {
		var records []broker.Record
		err := s.c.query("SELECT time, seq, subject, data FROM found WHERE (time, seq) > (?, ?) ORDER BY time, seq LIMIT 5000", []any{time, seq}, func(r []driver.Value) error {
			time, seq = number(r[0]), number(r[1])
			records = append(records, broker.Record{Subject: text(r[2]), Seq: uint64(seq), Data: append([]byte(nil), blob(r[3])...)})
			return nil
		})
		if err != nil || len(records) == 0 {
			return s.wrap(err)
		}
		if err := f(records); err != nil {
			return err
		}
	}
}

func (s *sorter) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("index: sort jobs: %w", err)
}
