package frame

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// Builder makes frames of one schema, column by column. A row is complete when
// each column has got one value for it. It is not safe for concurrent use.
type Builder struct {
	schema *Schema
	cols   []*Column
}

// NewBuilder makes a builder with room for Rows rows. It panics where the
// schema has a type that frames do not have.
func NewBuilder(s *Schema) *Builder { return NewBuilderSize(s, Rows) }

// NewBuilderSize is NewBuilder with room for rows rows.
func NewBuilderSize(s *Schema, rows int) *Builder {
	b := &Builder{schema: s, cols: make([]*Column, s.NumFields())}
	for i := range b.cols {
		b.cols[i] = NewColumn(s.Field(i), rows)
	}
	return b
}

// Schema is the schema of the frames.
func (b *Builder) Schema() *Schema { return b.schema }

// Column is the column to append to, in the schema's order.
func (b *Builder) Column(i int) *Column { return b.cols[i] }

// Len is the number of rows so far: values of the first column.
func (b *Builder) Len() int {
	if len(b.cols) == 0 {
		return 0
	}
	return b.cols[0].n
}

// Bytes is about the memory of the values so far; a source that reads long
// texts ends a frame by it.
func (b *Builder) Bytes() (n int) {
	for _, c := range b.cols {
		n += c.Bytes()
	}
	return n
}

// Frame hands over the rows so far and starts anew. It fails where the columns
// are not equally long or one holds more than 2 GiB.
func (b *Builder) Frame() (Frame, error) {
	n := b.Len()
	cols := make([]arrow.Array, len(b.cols))
	for i, c := range b.cols {
		if c.n != n {
			return nil, fmt.Errorf("build frame: column %q has %d values, column %q has %d",
				c.field.Name, c.n, b.cols[0].field.Name, n)
		}
		a, err := c.Array()
		if err != nil {
			return nil, fmt.Errorf("build frame: %w", err)
		}
		cols[i] = a
	}
	return New(b.schema, cols, n), nil
}
