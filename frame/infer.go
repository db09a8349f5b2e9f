package frame

import "github.com/apache/arrow-go/v18/arrow"

// Inferrer decides the types of columns from sample rows of text, as a CSV
// reader has them. A column gets the first type of
//
//	bool < int32 < int64 < double < date < timestamp < timestamp[UTC] < string
//
// that all its samples can be read as (see Column.ParseText), so 007 makes
// strings, and times with and without zone together do as well. A column
// without a sample is string. Declared columns have their type in any case.
type Inferrer struct {
	names []string
	o     InferOptions
	could []candidate
}

// InferOptions are what is known before.
type InferOptions struct {
	Declared map[string]arrow.Field // by name; only type and metadata count
}

// candidate is the set of types that a column may still have.
type candidate uint8

const (
	mayBool candidate = 1 << iota
	mayInt32
	mayInt64
	mayDouble
	mayDate
	mayDatetime
	mayTimestamp
	sampled // there was a value
	mayAll  = mayBool | mayInt32 | mayInt64 | mayDouble | mayDate | mayDatetime | mayTimestamp
)

// NewInferrer starts with the names of the columns, which must differ.
func NewInferrer(names []string, o InferOptions) *Inferrer {
	in := &Inferrer{names: names, o: o, could: make([]candidate, len(names))}
	for i := range in.could {
		in.could[i] = mayAll
	}
	return in
}

// Sample takes one row into account. A nil field is missing, as are those that a
// short row lacks.
func (in *Inferrer) Sample(row [][]byte) {
	for i, field := range row[:min(len(row), len(in.could))] {
		if field == nil {
			continue
		}
		in.could[i] = in.could[i].narrow(field) | sampled
	}
}

func (c candidate) narrow(field []byte) candidate {
	if c&mayBool != 0 {
		if _, ok := parseBool(field); !ok {
			c &^= mayBool
		}
	}
	if c&(mayInt32|mayInt64) != 0 {
		switch v, ok := ParseInt(field); {
		case !ok:
			c &^= mayInt32 | mayInt64
		case v != int64(int32(v)) || v == -1<<31: // R has no such integer
			c &^= mayInt32
		}
	}
	if c&mayDouble != 0 {
		if _, ok := ParseDouble(field); !ok {
			c &^= mayDouble
		}
	}
	if c&(mayDate|mayDatetime|mayTimestamp) != 0 {
		_, n, isDate := parseDate(field)
		if !isDate || n != len(field) {
			c &^= mayDate
		}
		_, zone, isTime := parseTime(field)
		if !isTime || zone {
			c &^= mayDatetime
		}
		if !isTime || !zone {
			c &^= mayTimestamp
		}
	}
	return c
}

func (c candidate) field() arrow.Field {
	f := arrow.Field{Type: arrow.BinaryTypes.String, Nullable: true}
	switch {
	case c&sampled == 0:
	case c&mayBool != 0:
		f.Type = arrow.FixedWidthTypes.Boolean
	case c&mayInt32 != 0:
		f.Type = arrow.PrimitiveTypes.Int32
	case c&mayInt64 != 0:
		f.Type = arrow.PrimitiveTypes.Int64
	case c&mayDouble != 0:
		f.Type = arrow.PrimitiveTypes.Float64
	case c&mayDate != 0:
		f.Type = arrow.FixedWidthTypes.Date32
	case c&mayDatetime != 0:
		f.Type = &arrow.TimestampType{Unit: arrow.Microsecond}
	case c&mayTimestamp != 0:
		f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	}
	return f
}

// Schema is what the samples so far allow.
func (in *Inferrer) Schema() *Schema {
	fields := make([]arrow.Field, len(in.names))
	for i, name := range in.names {
		f, ok := in.o.Declared[name]
		if !ok {
			f = in.could[i].field()
		}
		f.Name, f.Nullable = name, true
		fields[i] = f
	}
	return arrow.NewSchema(fields, nil)
}
