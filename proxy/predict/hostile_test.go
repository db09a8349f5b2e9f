package predict

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

func readerOf(t testing.TB, schema ...string) *reader {
	t.Helper()
	var e Endpoint
	configs.SetDefaults(&e)
	e.Schema = columns(schema...)
	s, err := schemaOf(&e)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{schema: s, maxRows: e.MaxRows}
}

func statusOf(err error) int {
	var f *fault.Fault
	if errors.As(err, &f) {
		return f.Status
	}
	return 0
}

// cheaply fails the test where f takes much time or memory: a request of a megabyte
// or less must not.
func cheaply(t *testing.T, what string, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	f()
	runtime.ReadMemStats(&after)
	if took, memory := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 10*time.Second || memory > 400<<20 {
		t.Errorf("%s: %v and %d MB", what, took, memory>>20)
	}
}

func TestNoJSONCostsMoreThanItsSize(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":[1]`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	long := strings.Repeat("n", 100_000)
	var apart strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&apart, `,{"k%d":1}`, i)
	}
	f := func(what, body string, status int) {
		t.Helper()
		for _, r := range []*reader{readerOf(t), readerOf(t, "x", "double")} {
			cheaply(t, what, func() {
				if _, err := r.read(mediaJSON, []byte(body)); r.schema == nil && statusOf(err) != status {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
	}
	f("many columns", many(60_000), 0)
	f("too many columns", many(120_000), http.StatusRequestEntityTooLarge)
	f("a long name", `{"x":[1`+strings.Repeat(",1", 10_000)+`],"`+long+`":[1`+strings.Repeat(",1", 10_000)+`]}`, 0)
	f("rows with nothing in common", "["+apart.String()[1:]+"]", http.StatusRequestEntityTooLarge)
}

func TestColumnsKeepTheirNames(t *testing.T) {
	f := func(r *reader, body, want string) {
		t.Helper()
		in, err := r.read(mediaJSON, []byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got := ""
		if in.frame != nil {
			got = strings.Join(columnNames(in.frame.Schema()), " ")
			for i := range int(in.frame.NumRows()) {
				for c, field := range in.frame.Schema().Fields() {
					got += " " + string(frame.AppendJSON(nil, field, in.frame.Column(c), i))
				}
			}
		}
		for _, e := range in.errors {
			got += fmt.Sprintf("; %d %s", e.Index, e.Text())
		}
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", body, got, want)
		}
		if r.schema != nil && in.frame != nil && in.frame.Schema() != r.schema.Schema {
			t.Error("the frame has another schema, so it would not join a batch at once")
		}
	}
	none, two := readerOf(t), readerOf(t, "x", "double", "y", "string")
	no := false
	two.schema.rules[1].required = no
	f(none, `{"b":[1,2],"a":["x",null]}`, `b a 1 "x" 2 null`)
	f(none, `{"columns":{"1":[true],"0":[2.5]}}`, `1 0 true 2.5`)
	f(two, `{"y":["a","b"],"other":[0,0],"x":[1,"two"]}`, `x y 1 "a"; 1 x: "two" is not double`)
	f(two, `{"other":[0],"x":[3]}`, `x y 3 null`)
	f(two, `{"x":["NaN","no"]}`, `x y null null; 1 x: "no" is not double`)
}

// stream is an Arrow stream of the batches, or a file.
func stream(t testing.TB, isFile bool, batches ...arrow.RecordBatch) []byte {
	t.Helper()
	var b bytes.Buffer
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	} = ipc.NewWriter(&b, ipc.WithSchema(batches[0].Schema()))
	if isFile {
		file, err := ipc.NewFileWriter(&b, ipc.WithSchema(batches[0].Schema()))
		if err != nil {
			t.Fatal(err)
		}
		w = file
	}
	for _, batch := range batches {
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// arrowOf is one column of n values.
func arrowOf(t testing.TB, typ arrow.DataType, json string) arrow.RecordBatch {
	t.Helper()
	a, _, err := array.FromJSON(memory.DefaultAllocator, typ, strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "x", Type: typ, Nullable: true}}, nil), []arrow.Array{a}, int64(a.Len()))
}

// messages are where the metadata of each message of a stream lies.
func messages(body []byte) (at []*flat) {
	for len(body) >= 8 {
		size := binary.LittleEndian.Uint32(body[4:])
		if size == 0 {
			break
		}
		m := newFlat(body[8 : 8+size])
		at = append(at, m)
		body = body[8+uint64(size)+m.body():]
	}
	return at
}

// footer is where the metadata of a file lies.
func footer(body []byte) *flat {
	at := len(body) - 10
	return newFlat(body[at-int(binary.LittleEndian.Uint32(body[at:])) : at])
}

func (f *flat) put32(at, v uint32) { binary.LittleEndian.PutUint32(f.b[at:], v) }
func (f *flat) put64(at uint32, v uint64) {
	binary.LittleEndian.PutUint64(f.b[at:], v)
}

func TestArrowThatIsMeantToHarm(t *testing.T) {
	list := arrowOf(t, arrow.ListOf(arrow.PrimitiveTypes.Float64), `[[1, 2], [3]]`)
	null := arrowOf(t, arrow.Null, `[null, null]`)
	fields := func(schema *flat, table uint32) uint32 { // the first column
		start, _ := schema.vector(schema.slot(table, 1), 4)
		return schema.follow(start)
	}
	header := func(m *flat) uint32 { return m.table(m.follow(0), 2) }
	f := func(what string, isFile bool, batches []arrow.RecordBatch, spoil func(body []byte)) {
		t.Helper()
		body := stream(t, isFile, batches...)
		m := mediaArrowStream
		if isFile {
			m = mediaArrowFile
		}
		for _, r := range []*reader{readerOf(t), readerOf(t, "x", "list<double>")} {
			if _, err := r.read(m, body); err != nil {
				t.Errorf("%s: refused before it was spoilt: %v", what, err)
			}
		}
		spoil(body)
		for _, r := range []*reader{readerOf(t), readerOf(t, "x", "list<double>")} {
			cheaply(t, what, func() {
				if _, err := r.read(m, body); statusOf(err) != 400 && statusOf(err) != 413 {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
	}
	own := func(schema *flat, table uint32) { // a column that is its own child
		x := fields(schema, table)
		start, _ := schema.vector(schema.slot(x, 5), 4)
		schema.put32(start, x-start)
	}
	f("a column in itself", false, []arrow.RecordBatch{list}, func(body []byte) { m := messages(body)[0]; own(m, header(m)) })
	f("a column in itself, in a file", true, []arrow.RecordBatch{list}, func(body []byte) {
		m := footer(body)
		own(m, m.table(m.follow(0), 1))
	})
	f("a thousand million columns", false, []arrow.RecordBatch{list}, func(body []byte) {
		m := messages(body)[0]
		m.put32(m.follow(m.slot(header(m), 1)), 1<<30)
	})
	f("rows beyond counting", false, []arrow.RecordBatch{null, null}, func(body []byte) {
		m := messages(body)[2]
		m.put64(m.slot(header(m), 0), math.MaxInt64)
		node, _ := m.vector(m.slot(header(m), 1), 16)
		m.put64(node, math.MaxInt64)
	})
	f("fewer rows than none", false, []arrow.RecordBatch{null, null}, func(body []byte) {
		m := messages(body)[2]
		m.put64(m.slot(header(m), 0), 1<<64-2)
		node, _ := m.vector(m.slot(header(m), 1), 16)
		m.put64(node, 1<<64-2)
	})
	f("a body that is not there", false, []arrow.RecordBatch{list}, func(body []byte) {
		m := messages(body)[1]
		m.put64(m.slot(m.follow(0), 3), 1<<40)
	})
}

// Views are strings for readers without a list.
func TestArrowWithMoreBuffersThanThereAre(t *testing.T) {
	body := stream(t, false, arrowOf(t, arrow.BinaryTypes.StringView, `["a text that is too long to be in line"]`))
	r := readerOf(t)
	if _, err := r.read(mediaArrowStream, body); err != nil {
		t.Fatal(err)
	}
	m := messages(body)[1]
	start, n := m.vector(m.slot(m.table(m.follow(0), 2), 4), 8)
	if n != 1 {
		t.Fatalf("%d counts", n)
	}
	m.put64(start, 1<<34)
	if _, err := r.read(mediaArrowStream, body); statusOf(err) != 400 {
		t.Error(err)
	}
}

// Many values may be the same bytes of the request: what they take is counted as
// they are copied.
func TestArrowThatRepeatsItselfIsCounted(t *testing.T) {
	f := func(typ arrow.DataType, json, to string) {
		t.Helper()
		batch := arrowOf(t, typ, json)
		r := readerOf(t, "x", to)
		b := frame.NewBuilder(r.schema.Schema)
		m := copying{left: 300}
		defer func() {
			if p := recover(); !errors.Is(asError(p), errArrowSize) {
				t.Errorf("%s: %v, %d bytes left", typ, p, m.left)
			}
		}()
		for i := range 10 {
			m.value(b.Column(0), batch.Column(0), i)
		}
	}
	text := strconv.Quote(strings.Repeat("x", 40))
	texts := "[" + strings.Repeat(text+",", 9) + text + "]"
	f(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, texts, "string")
	f(arrow.BinaryTypes.String, texts, "string")
	f(arrow.ListOf(arrow.Null), "["+strings.Repeat("[null,null,null,null,null],", 9)+"[]]", "list<double>")
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`[{"x":1,"y":"a"}]`, `{"x":[1,"NaN"],"y":["a",null]}`, `{"rows":[{"x":1}]}`, `{"instances":[]}`,
		`{"columns":{"x":[1]}}`, `{"x":1,"x":2}`, `[[]]`, `{"x":[1],"x":[2]}`, `[1]`, `""`, `{"y":[[1],{"a":2}]}`} {
		f.Add([]byte(s))
	}
	fuzzed(f, mediaJSON)
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"x,y\n1,a\n", "\xef\xbb\xbfx\n\"1\"\n", "x,y\n1\n", "x\n\"", "x,x\n1,2\n", "y\nNA\n\n", ""} {
		f.Add([]byte(s))
	}
	fuzzed(f, mediaCSV)
}

func FuzzArrow(f *testing.F) {
	for _, batch := range []arrow.RecordBatch{
		arrowOf(f, arrow.PrimitiveTypes.Float64, `[1, null]`), arrowOf(f, arrow.ListOf(arrow.BinaryTypes.String), `[["a"], null]`),
		arrowOf(f, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `["a", "b", null]`),
		arrowOf(f, arrow.BinaryTypes.StringView, `["a text that is too long to be in line"]`),
		arrowOf(f, &arrow.TimestampType{Unit: arrow.Second, TimeZone: "UTC"}, `[1709208000]`), arrowOf(f, arrow.Null, `[null]`),
	} {
		f.Add(stream(f, false, batch))
		f.Add(stream(f, true, batch))
	}
	fuzzed(f, mediaArrowStream, mediaArrowFile)
}

// fuzzed holds readers to what they promise: an error with a status of the
// client's, or rows of which each is either good or has an error.
func fuzzed(f *testing.F, media ...media) {
	readers := []*reader{readerOf(f), readerOf(f, "x", "double", "y", "string")}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, m := range media {
			for _, r := range readers {
				in, err := r.read(m, body)
				if err != nil {
					if s := statusOf(err); s < 400 || s > 499 {
						t.Fatalf("%v: %v", m, err)
					}
					continue
				}
				of := make([]int, in.rows)
				if in.frame != nil {
					for i := range int(in.frame.NumRows()) {
						of[placeOf(in.place, i)]++
					}
				}
				for _, e := range in.errors {
					of[e.Index]++
				}
				for i, n := range of {
					if n != 1 {
						t.Fatalf("row %d of %d came to %d ends", i, in.rows, n)
					}
				}
			}
		}
	})
}
