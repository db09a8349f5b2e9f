package stages

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Windowed is implemented by configured stages that may have windows: with them
// they need their whole input only where it has an end.
type Windowed interface {
	// Windowed reports whether the stage, as it is configured, has.
	Windowed() bool
}

// Window divides time into windows of equal length, one behind the other. A row
// is in the window that its time is in, from the start, up to and without the end.
//
// Where the source has no end, a window is computed once, and sent, when it is
// over: when the largest time that has come, less the lateness, has reached its
// end. Rows of it that come later are late. Where the source has an end, all
// windows are computed at the end, and nothing is late.
type Window struct {
	Time       string           `yaml:"time" required:"true" doc:"The column with the time of a row: a timestamp or a date." example:"time_hour"`
	Every      configs.Duration `yaml:"every" required:"true" doc:"The length of a window. Of a date, whole days." example:"1h"`
	Origin     string           `yaml:"origin" doc:"A time at which a window starts, such as 2024-01-01 or 2024-01-01T06:00:00Z. Without it windows start at 1970-01-01 00:00 UTC, or at that hour where the column has no zone." example:"2024-01-01T06:00:00Z"`
	Lateness   configs.Duration `yaml:"lateness" default:"0s" doc:"How much a time may be behind the largest one that has come, before its row is late."`
	Late       string           `yaml:"late" default:"drop" enum:"drop|dead_letter" doc:"What becomes of late rows, and of rows without a time: drop counts and forgets them, dead_letter writes them to the pipeline's dead_letter."`
	Idle       configs.Duration `yaml:"idle" default:"0s" doc:"Closes all windows after so long without a row. 0 is never: windows then close when later rows come, or when the input ends."`
	MaxWindows int              `yaml:"max_windows" default:"10000" min:"1" doc:"How many windows may be open at once; more end the run."`
	Start      string           `yaml:"start" default:"window_start" doc:"The name of the column with the window's start."`
	End        string           `yaml:"end" default:"window_end" doc:"The name of the column with its end."`
}

// Check implements configs.Checker.
func (c *Window) Check(report func(field, message, hint string)) {
	if c.Every < configs.Duration(time.Microsecond) {
		report("every", "is shorter than the microsecond that times are kept in", "such as 1m")
	} else if c.Every%configs.Duration(time.Microsecond) != 0 {
		report("every", "is not a whole number of microseconds, which times are kept in", "")
	}
	if _, err := parseOrigin(c.Origin); err != nil {
		report("origin", err.Error(), "such as 2024-01-01 or 2024-01-01T06:00:00Z")
	}
	if c.Start == c.End {
		report("end", "is the name of the column with the start", "give another")
	}
}

// parseOrigin is the microsecond that a text says.
func parseOrigin(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMicro(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a time", text)
}

// windowColumn is the column with a row's window while SQL has the rows.
const windowColumn = "rpipe window"

// microsOfDay is the unit of times in that of dates.
const microsOfDay = int64(24 * time.Hour / time.Microsecond)

// windowClock tells the window of each row. Times are in the unit of the column:
// microseconds, or days.
type windowClock struct {
	column        int // of the input
	field         arrow.Field
	date          bool
	every, origin int64
	lateness      int64
}

// clock makes the clock for an input.
func (c *Window) clock(in *frame.Schema) (*windowClock, error) {
	at := in.FieldIndices(c.Time)
	if len(at) == 0 {
		_, _, err := frame.SelectSchema(in, []string{c.Time})
		return nil, &keyError{"window.time", err}
	}
	k := &windowClock{column: at[0], field: in.Field(at[0]), every: time.Duration(c.Every).Microseconds(), lateness: time.Duration(c.Lateness).Microseconds()}
	k.origin, _ = parseOrigin(c.Origin)
	switch frame.KindOf(k.field) {
	case frame.KindTimestamp, frame.KindDatetime:
	case frame.KindDate:
		k.date = true
		if k.every%microsOfDay != 0 {
			return nil, &keyError{"window.every", fmt.Errorf("column %q is a date, so windows are whole days, such as 1d; %v are not", c.Time, time.Duration(c.Every))}
		}
		k.every /= microsOfDay
		k.origin = floorDiv(k.origin, microsOfDay)
		k.lateness = -floorDiv(-k.lateness, microsOfDay)
	default:
		return nil, &keyError{"window.time", fmt.Errorf("column %q is of type %s, neither a timestamp nor a date: derive one first, as in {time: \"to_timestamp(seconds)\"}", c.Time, frame.TypeName(k.field))}
	}
	return k, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// start is the start of the window that t is in.
func (k *windowClock) start(t int64) int64 { return k.origin + floorDiv(t-k.origin, k.every)*k.every }

// timesOf gives the times in a column, to be asked only where it is not null.
func timesOf(a arrow.Array) func(i int) int64 {
	if d, ok := a.(*array.Date32); ok {
		return func(i int) int64 { return int64(d.Value(i)) }
	}
	t := a.(*array.Timestamp)
	return func(i int) int64 { return int64(t.Value(i)) }
}

// extended is a schema with the window's column.
func (k *windowClock) extended(in *frame.Schema) *frame.Schema {
	f := arrow.Field{Name: windowColumn, Type: k.field.Type, Nullable: true, Metadata: k.field.Metadata}
	return arrow.NewSchema(append(append([]arrow.Field(nil), in.Fields()...), f), nil)
}

// extend is a frame with the window's column, which starts gives.
func (k *windowClock) extend(schema *frame.Schema, f frame.Frame, starts func(i int) int64) (frame.Frame, error) {
	n := int(f.NumRows())
	b := frame.NewBuilderSize(arrow.NewSchema([]arrow.Field{schema.Field(schema.NumFields() - 1)}, nil), n)
	for i := range n {
		k.append(b.Column(0), starts(i))
	}
	column, err := b.Frame()
	if err != nil {
		return nil, err
	}
	columns := append(append([]arrow.Array(nil), f.Columns()...), column.Column(0))
	return frame.New(schema, columns, n), nil
}

func (k *windowClock) append(c *frame.Column, t int64) {
	if k.date {
		c.AppendInt32(int32(t))
	} else {
		c.AppendInt64(t)
	}
}

// ends are the ends of the windows that begin at the values of a column.
func (k *windowClock) ends(starts arrow.Array, field arrow.Field) (arrow.Array, arrow.Field) {
	b := frame.NewBuilderSize(arrow.NewSchema([]arrow.Field{field}, nil), starts.Len())
	at := timesOf(starts)
	for i := range starts.Len() {
		k.append(b.Column(0), at(i)+k.every)
	}
	f, err := b.Frame()
	if err != nil {
		panic(err) // one column of the right length
	}
	return f.Column(0), field
}

// name is how people call the window that begins at start.
func (k *windowClock) name(start int64) string {
	if k.date {
		return time.Unix(start*24*60*60, 0).UTC().Format(time.DateOnly)
	}
	t := time.UnixMicro(start).UTC()
	if frame.KindOf(k.field) == frame.KindDatetime {
		return t.Format("2006-01-02T15:04:05.999999")
	}
	return t.Format(time.RFC3339Nano)
}
