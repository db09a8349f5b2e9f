//go:build unix

package predict

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/frame"
)

// every is a schema of a column of each type that all media hold.
var every = columns("l", "bool", "i", "int32", "big", "int64", "d", "double", "s", "string", "f", "factor",
	"day", "date", "at", "timestamp[Europe/Berlin]", "wall", "timestamp")

// generated is rows of every, with what is hard about each type.
func generated(t *testing.T, dice *rand.Rand, rows int, finite bool) frame.Frame {
	t.Helper()
	s, err := schemaOf(&Endpoint{Schema: every, Rules: map[string]Rule{"f": {Enum: []string{"b", "a", "NA?"}}}})
	if err != nil {
		t.Fatal(err)
	}
	doubles := []float64{0, 0.1, -1.5, 1e300, 5e-324, math.MaxFloat64, 1e21, 123456789.125}
	if !finite {
		doubles = append(doubles, math.NaN(), math.Inf(1), math.Inf(-1))
	}
	texts := []string{"plain", "ä 世界 🙂", `quote " and \ and ,`, "two\nlines", " spaces ", "TRUE", "1"}
	pick := func(n int) int { return dice.IntN(n) }
	b := frame.NewBuilder(s.Schema)
	for range rows {
		for k := range s.NumFields() {
			c := b.Column(k)
			if pick(6) == 0 {
				c.AppendNull()
				continue
			}
			switch c.Field().Name {
			case "l":
				c.AppendBool(pick(2) == 0)
			case "i":
				c.AppendInt32([]int32{0, 1, -7, math.MaxInt32, math.MinInt32 + 1}[pick(5)])
			case "big":
				c.AppendInt64([]int64{0, 1 << 53, -1 << 53, 12345678901}[pick(4)])
			case "d":
				c.AppendDouble(doubles[pick(len(doubles))])
			case "s":
				c.AppendString(texts[pick(len(texts))])
			case "f":
				c.AppendString([]string{"b", "a", "NA?"}[pick(3)])
			case "day":
				c.AppendInt32([]int32{0, 19782, -30000, 60000}[pick(4)])
			default:
				c.AppendInt64([]int64{0, 1709164800_000000, 1711846800_123456, -1_500000}[pick(4)])
			}
		}
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What a client sends is what R gets and what comes back: in each medium, through
// R, with every type. R itself judges that the rows of two media are identical().
func TestRowsSurviveEachMediumAndR(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) {
		e.Fun, e.Schema = "echo", every
		e.Rules = map[string]Rule{"f": {Enum: []string{"b", "a", "NA?"}}}
	})
	for seed := range uint64(8) {
		dice := rand.New(rand.NewPCG(7, seed))
		for _, m := range allMedia {
			f := generated(t, dice, 1+dice.IntN(40), m == mediaJSON || m == mediaNDJSON)
			o := output{results: results{frame: f, place: make([]int32, f.NumRows())}}
			body, err := o.encode(m)
			if err != nil {
				t.Fatal(err)
			}
			w := post(t, p, string(body), "Content-Type: "+string(m))
			if w.Code != 200 {
				t.Fatalf("%s: %d %s\n%s", m, w.Code, w.Body, body)
			}
			r := reader{schema: p.reader.schema, maxRows: 1000}
			in, err := r.read(m, w.Body.Bytes())
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			if d := difference(f, in.frame); d != "" {
				t.Errorf("%s, seed %d: %s", m, seed, d)
			}
		}
	}
}

// difference is the first value that is not equal, "" for none.
func difference(a, b frame.Frame) string {
	if a.NumRows() != b.NumRows() || a.NumCols() != b.NumCols() {
		return fmt.Sprintf("%d × %d became %d × %d", a.NumRows(), a.NumCols(), b.NumRows(), b.NumCols())
	}
	o := frame.TextOptions{Null: "<null>"}
	for c := range int(a.NumCols()) {
		for i := range int(a.NumRows()) {
			x, y := frame.AppendText(nil, a.Column(c), i, o), frame.AppendText(nil, b.Column(c), i, o)
			if !bytes.Equal(x, y) {
				return fmt.Sprintf("%s, row %d: %s became %s", a.Schema().Field(c).Name, i, x, y)
			}
		}
	}
	return ""
}

// R gets the very same data.frame whatever medium the rows came in.
func TestRGetsIdenticalRowsFromEachMedium(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) {
		e.Fun, e.Schema = "pick_type", every
		e.Rules = map[string]Rule{"f": {Enum: []string{"b", "a", "NA?"}}}
	})
	f := generated(t, rand.New(rand.NewPCG(3, 3)), 30, true)
	var want string
	for _, m := range allMedia {
		o := output{results: results{frame: f, place: make([]int32, f.NumRows())}}
		body, err := o.encode(m)
		if err != nil {
			t.Fatal(err)
		}
		w := post(t, p, string(body), "Content-Type: "+string(m), "Accept: application/json")
		if want == "" {
			want = w.Body.String()
		}
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %s\nwant\n%s", m, w.Code, w.Body, want)
		}
	}
	if !bytes.Contains([]byte(want), []byte(`logical,integer,numeric,numeric,character,factor:b/a/NA?,Date,POSIXct Europe/Berlin,POSIXct UTC`)) {
		t.Errorf("the types in R are %s", want)
	}
}

// What R returns may be a vector or a matrix too.
func TestAVectorOrMatrixIsResultsToo(t *testing.T) {
	f := func(fun, column, want string) {
		t.Helper()
		p := serve(t, 1, func(e *Endpoint) { e.Fun, e.Schema = fun, columns(column, "double") })
		if w := post(t, p, `[{"`+column+`": 0.25}, {"`+column+`": 0.5}]`); w.Body.String() != want+"\n" {
			t.Errorf("%s: %d %s", fun, w.Code, w.Body)
		}
	}
	f("twice", "speed", `[{"prediction":0.5},{"prediction":1}]`)
	f("probabilities", "p", `[{"no":0.75,"yes":0.25},{"no":0.5,"yes":0.5}]`)
	f("named", "x", `[{"prediction":"a"},{"prediction":"b"}]`)
	f("levels_of", "x", `[{"prediction":"low"},{"prediction":"high"}]`)
	f("base::is.na.data.frame", "x", `[{"x":false},{"x":false}]`)
	f("a_list", "x", `[{"error":{"index":0,"reason":"bad_result","message":"a_list() returned a list; return a data.frame, or a vector with one element for each row","whole_batch":true}},{"error":{"index":1,"reason":"bad_result","message":"a_list() returned a list; return a data.frame, or a vector with one element for each row","whole_batch":true}}]`)
}

// Arrow has more types than R: those that fit come in.
func TestArrowTypesThatFitComeIn(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) { e.Fun = "echo" })
	s := arrow.NewSchema([]arrow.Field{
		{Name: "u8", Type: arrow.PrimitiveTypes.Uint8, Nullable: true},
		{Name: "f32", Type: arrow.PrimitiveTypes.Float32, Nullable: true},
		{Name: "ms", Type: &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}, Nullable: true},
		{Name: "large", Type: arrow.BinaryTypes.LargeString, Nullable: true},
		{Name: "none", Type: arrow.Null, Nullable: true},
	}, nil)
	record, err := arrowRecord(s, `{"u8": 255, "f32": 0.5, "ms": "2024-02-29T12:00:00Z", "large": "x"}`, `{"u8": null}`)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(s), ipc.WithZstd())
	if err := w.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := post(t, p, b.String(), "Content-Type: application/vnd.apache.arrow.stream", "Accept: application/json")
	want := `[{"u8":255,"f32":0.5,"ms":"2024-02-29T12:00:00Z","large":"x","none":null},{"u8":null,"f32":null,"ms":null,"large":null,"none":null}]` + "\n"
	if got.Code != 200 || got.Body.String() != want {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func arrowRecord(s *arrow.Schema, rows ...string) (arrow.RecordBatch, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	defer b.Release()
	for _, row := range rows {
		if err := b.UnmarshalJSON([]byte(row)); err != nil {
			return nil, err
		}
	}
	return b.NewRecordBatch(), nil
}
