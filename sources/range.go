package sources

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Range makes a column of whole numbers, for simulations and for tests of a
// pipeline without data.
type Range struct {
	From   int64  `yaml:"from" default:"1" doc:"First number."`
	To     *int64 `yaml:"to" doc:"Last number, which is included if the steps meet it. Give this or rows." example:"1000000"`
	Rows   *int64 `yaml:"rows" min:"0" doc:"How many rows. Give this or to."`
	Step   int64  `yaml:"step" default:"1" doc:"Difference from one number to the next; may be negative."`
	Column string `yaml:"column" default:"i" doc:"Name of the column. It is int32 (R's integer) where all numbers are in its range, else int64."`
}

var (
	_ Source          = (*Range)(nil)
	_ configs.Checker = (*Range)(nil)
)

// Check reports a range that is none.
func (r *Range) Check(report func(field, message, hint string)) {
	if (r.To == nil) == (r.Rows == nil) {
		report("", "either to or rows must be given", "write to: 1000 or rows: 1000")
		return
	}
	if r.Step == 0 {
		report("step", "a step of 0 gets nowhere", "")
		return
	}
	if _, _, err := r.extent(); err != nil {
		report("", err.Error(), "")
	}
}

// extent is the number of rows, and the last number.
func (r *Range) extent() (rows, last int64, err error) {
	errRange := fmt.Errorf("the numbers leave the range of 64 bits")
	switch {
	case r.Step == 0, (r.To == nil) == (r.Rows == nil):
		return 0, 0, fmt.Errorf("either to or rows must be given, and a step that is not 0")
	case r.Rows != nil:
		rows = *r.Rows
	case r.Step > 0 && *r.To >= r.From:
		steps := (uint64(*r.To) - uint64(r.From)) / uint64(r.Step)
		if steps >= math.MaxInt64 {
			return 0, 0, errRange
		}
		rows = int64(steps) + 1
	case r.Step < 0 && *r.To <= r.From:
		steps := (uint64(r.From) - uint64(*r.To)) / (-uint64(r.Step))
		if steps >= math.MaxInt64 {
			return 0, 0, errRange
		}
		rows = int64(steps) + 1
	}
	if rows <= 0 {
		return 0, r.From, nil
	}
	size, up := uint64(r.Step), true
	if r.Step < 0 {
		size, up = -size, false
	}
	hi, span := bits.Mul64(uint64(rows-1), size)
	room := uint64(math.MaxInt64) - uint64(r.From)
	if !up {
		room = uint64(r.From) - (1 << 63) // down to the smallest
	}
	if hi != 0 || span > room {
		return 0, 0, errRange
	}
	return rows, r.From + (rows-1)*r.Step, nil
}

// Open needs nothing from outside.
func (r *Range) Open(_ context.Context, _ *stages.Env, from string) (Reader, error) {
	rows, last, err := r.extent()
	if err != nil {
		return nil, fmt.Errorf("range: %w", err)
	}
	small := func(v int64) bool { return v > math.MinInt32 && v <= math.MaxInt32 } // the smallest is R's NA
	field := arrow.Field{Name: r.Column, Type: arrow.PrimitiveTypes.Int64, Nullable: true}
	if small(r.From) && small(last) {
		field.Type = arrow.PrimitiveTypes.Int32
	}
	if field.Name == "" {
		field.Name = "i"
	}
	schema := arrow.NewSchema([]arrow.Field{field}, nil)
	g, err := openGenerated(schema, rows, from, func(from, to int64) (frame.Frame, error) {
		b := frame.NewBuilderSize(schema, int(to-from))
		c := b.Column(0)
		for i := from; i < to; i++ {
			if v := r.From + i*r.Step; field.Type.ID() == arrow.INT32 {
				c.AppendInt32(int32(v))
			} else {
				c.AppendInt64(v)
			}
		}
		return b.Frame()
	})
	if err != nil {
		return nil, fmt.Errorf("range: %w", err)
	}
	g.config = fmt.Sprintf("%d from %d by %d", rows, r.From, r.Step)
	return g, nil
}
