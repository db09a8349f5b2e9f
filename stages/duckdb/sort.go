//go:build cgo

package duckdb

import (
	"context"
	"strings"

	"github.com/rpipe-dev/rpipe/frame"
)

// Sort prepares a query that gives the rows of one input, called input, ordered
// by some of its columns, with NULL last, and where these are equal in the order
// in which they came. Texts are ordered by their bytes.
func (d *DB) Sort(ctx context.Context, in *frame.Schema, by []string) (*Query, error) {
	if err := distinct(in); err != nil {
		return nil, err
	}
	columns := make([]string, in.NumFields())
	for i, f := range in.Fields() {
		columns[i] = quote(f.Name)
	}
	order := make([]string, 0, len(by)+1)
	for _, name := range append(append([]string(nil), by...), rowNumber) {
		order = append(order, quote(name))
	}
	c := checker{db: d, in: in}
	return c.prepare(ctx, sqlText{}.add("SELECT "+strings.Join(columns, ", ")+" FROM input ORDER BY "+strings.Join(order, ", ")), true)
}
