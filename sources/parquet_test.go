package sources

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// writeParquet writes rows by parquet-go, with small row groups and pages, so
// that frames, pages and row groups do not end together.
func writeParquet[T any](t testing.TB, path string, rows []T, options ...parquet.WriterOption) {
	t.Helper()
	o, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[T](o, options...)
	for len(rows) > 0 {
		n := min(len(rows), 15000)
		if _, err := w.Write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestParquetTypes(t *testing.T) {
	type row struct {
		Bool    bool             `parquet:"bool"`
		I8      int8             `parquet:"i8"`
		I32     int32            `parquet:"i32"`
		I64     int64            `parquet:"i64"`
		U32     uint32           `parquet:"u32"`
		U64     uint64           `parquet:"u64"`
		F32     float32          `parquet:"f32"`
		F64     float64          `parquet:"f64"`
		Str     string           `parquet:"str"`
		Dict    *string          `parquet:"dict,dict,optional"`
		Enum    string           `parquet:"enum,enum"`
		JSON    string           `parquet:"json,json"`
		Bytes   []byte           `parquet:"bytes"`
		UUID    [16]byte         `parquet:"uuid,uuid"`
		Date    int32            `parquet:"date,date"`
		TS      int64            `parquet:"ts,timestamp(millisecond)"`
		TSnano  time.Time        `parquet:"tsnano,timestamp(nanosecond)"`
		Local   int64            `parquet:"local,timestamp(microsecond:local)"`
		I96     deprecated.Int96 `parquet:"i96"`
		Dec     int64            `parquet:"dec,decimal(2:10)"`
		Time    int64            `parquet:"time,time(microsecond)"`
		Opt     *float64         `parquet:"opt,optional"`
		List    []int64          `parquet:"list,list"`
		Strings []string         `parquet:"strings"`
	}
	one := 1.5
	a := "a"
	dir := t.TempDir()
	writeParquet(t, filepath.Join(dir, "t.parquet"), []row{
		{true, -8, -32, -64, math.MaxUint32, math.MaxUint64, 1.5, math.Inf(1), "é", &a, "e", `{"x":1}`, []byte{0xff}, [16]byte{1: 0xab},
			19000, 1700000000123, time.Unix(1700000000, 123456789), 1700000000123456,
			deprecated.Int96{1500000, 0, 2440589}, 12345, 3600_000_000, &one, []int64{1, 2}, []string{"p", "q"}},
		{Date: -1, TS: -1, TSnano: time.Unix(0, -1), Dec: -1, I96: deprecated.Int96{0, 0, 2440587}},
	})
	got := flatten(t, &Parquet{Path: Paths{"t.parquet"}}, &stages.Env{Dir: dir})
	want := `bool bool, i8 int32, i32 int32, i64 int64, u32 int64, u64 double, f32 double, f64 double, str string, dict string, enum string, json json, bytes binary, uuid string, date date, ts timestamp[UTC], tsnano timestamp[UTC], local timestamp, i96 timestamp[UTC], dec double, time hms, opt double, list list<int64>, strings list<string>
true|-8|-32|-64|4294967295|1.8446744073709552e+19|1.5|+Inf|é|a|e|{"x":1}|/w==|00ab0000-0000-0000-0000-000000000000|2022-01-08|2023-11-14T22:13:20.123Z|2023-11-14T22:13:20.123456Z|2023-11-14T22:13:20.123456|1970-01-02T00:00:00.0015Z|123.45|3600|1.5|[1,2]|["p","q"]
false|0|0|0|0|0|0|0||<NA>||||00000000-0000-0000-0000-000000000000|1969-12-31|1969-12-31T23:59:59.999Z|1969-12-31T23:59:59.999999Z|1970-01-01T00:00:00|1969-12-31T00:00:00Z|-0.01|0|<NA>|[]|[]
`
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); d != "" {
		t.Error(d)
	}
}

// manyRow has columns whose pages, dictionaries and missing values fall differently.
type manyRow struct {
	ID    int64    `parquet:"id"`
	Val   *float64 `parquet:"val,optional"`
	OK    *bool    `parquet:"ok,optional"`
	Lang  *string  `parquet:"lang,dict,optional"`
	User  string   `parquet:"user"`
	Tags  []string `parquet:"tags,list"`
	Count *int32   `parquet:"count,dict,optional"`
}

func manyRows(n int) []manyRow {
	rows := make([]manyRow, n)
	for i := range rows {
		r := &rows[i]
		r.ID, r.User = int64(i), fmt.Sprintf("user-%d-%s", i, strings.Repeat("é", i%3))
		if i%7 != 0 {
			v := float64(i) / 4
			r.Val = &v
		}
		if i%11 != 0 {
			v := i%3 == 0
			r.OK = &v
		}
		if i%50 != 49 && (i < 20000 || i > 24000) {
			v := fmt.Sprint("lang", i%50)
			r.Lang = &v
		}
		for k := range i % 4 {
			r.Tags = append(r.Tags, fmt.Sprint(i, k))
		}
		if i%5 > 1 {
			v := int32(i % 100)
			r.Count = &v
		}
	}
	return rows
}

func (r *manyRow) String() string {
	show := func(ok bool, v func() string) string {
		if !ok {
			return "<NA>"
		}
		return v()
	}
	tags := `[]`
	if len(r.Tags) > 0 {
		tags = `["` + strings.Join(r.Tags, `","`) + `"]`
	}
	return strings.Join([]string{fmt.Sprint(r.ID),
		show(r.Val != nil, func() string { return fmt.Sprintf("%v", *r.Val) }),
		show(r.OK != nil, func() string { return fmt.Sprint(*r.OK) }),
		show(r.Lang != nil, func() string { return *r.Lang }), r.User, tags,
		show(r.Count != nil, func() string { return fmt.Sprint(*r.Count) })}, "|")
}

func TestParquetPages(t *testing.T) {
	rows := manyRows(40000)
	for name, options := range map[string][]parquet.WriterOption{
		"v1":   {parquet.DataPageVersion(1), parquet.PageBufferSize(5000), parquet.Compression(&parquet.Snappy)},
		"v2":   {parquet.DataPageVersion(2), parquet.PageBufferSize(30000), parquet.Compression(&parquet.Zstd)},
		"gzip": {parquet.Compression(&parquet.Gzip)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeParquet(t, filepath.Join(dir, "t.parquet"), rows, options...)
			got := strings.Split(flatten(t, &Parquet{Path: Paths{"t.parquet"}}, &stages.Env{Dir: dir, Parallel: 3}), "\n")[1:]
			if len(got) != len(rows)+1 {
				t.Fatalf("%d rows, want %d", len(got)-1, len(rows))
			}
			for i := range rows {
				if want := rows[i].String(); got[i] != want {
					t.Fatalf("row %d is\n%s, want\n%s", i, got[i], want)
				}
			}
		})
	}
}

func TestParquetRestoresR(t *testing.T) {
	type row struct {
		Size  *string `parquet:"size,dict,optional"`
		Plain string  `parquet:"plain"`
		When  int64   `parquet:"when,timestamp(microsecond)"`
		Span  float64 `parquet:"span"`
		Wrong int64   `parquet:"wrong"`
	}
	big, small := "big", "small"
	dir := t.TempDir()
	writeParquet(t, filepath.Join(dir, "t.parquet"),
		[]row{{&small, "b", 0, 1.5, 1}, {nil, "a", 1, 2, 2}, {&big, "b", 2, 3, 3}},
		parquet.KeyValueMetadata("rpipe.schema", `{"version":1,"columns":[
			{"name":"size","type":"ordered","meta":{"rpipe.levels":"[\"small\",\"medium\",\"big\"]"}},
			{"name":"plain","type":"factor"},
			{"name":"when","type":"timestamp[Europe/Berlin]","meta":{"rpipe.tz":"Europe/Berlin"}},
			{"name":"span","type":"difftime[mins]"},
			{"name":"wrong","type":"date"},
			{"name":"gone","type":"date"}]}`))
	r, err := (&Parquet{Path: Paths{"t.parquet"}}).Open(t.Context(), &stages.Env{Dir: dir}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b strings.Builder
	writeSchema(&b, r.Schema())
	if want := "size ordered, plain factor, when timestamp[Europe/Berlin], span difftime[mins], wrong int64\n"; b.String() != want {
		t.Errorf("schema %s, want %s", b.String(), want)
	}
	if tz, _ := r.Schema().Field(2).Metadata.GetValue(frame.MetaTimezone); tz != "Europe/Berlin" {
		t.Errorf("zone %q", tz)
	}
	read, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	writeRows(&b, read.Frame)
	if got := strings.Split(b.String(), "\n"); !strings.HasPrefix(got[0], "small|b|") || !strings.HasPrefix(got[1], "<NA>|a|") || !strings.HasPrefix(got[2], "big|b|") {
		t.Errorf("rows %q", got)
	}
}

func TestParquetDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "t.parquet")
	writeParquet(t, path, manyRows(30000), parquet.Compression(&parquet.Snappy))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(data []byte) error {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := (&Parquet{Path: Paths{"t.parquet"}}).Open(t.Context(), &stages.Env{Dir: dir}, "")
		if err != nil {
			return err
		}
		defer r.Close()
		for {
			if _, err := r.Next(t.Context()); err != nil {
				return err
			}
		}
	}
	f := func(data []byte, want string) {
		t.Helper()
		if err := read(data); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "parquet: t.parquet: ") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	f(nil, "the file is empty")
	f([]byte("a,b\n1,2\n"), `not a Parquet file: it begins with "a,b\n"`)
	f(whole[:len(whole)/2], "the Parquet file is truncated")
	f(append(whole[:len(whole)-8:len(whole)-8], 0xff, 0xff, 0, 0, 'P', 'A', 'R', '1'), "damaged")
	// Whatever is changed in the middle, it is an error or other values, not a crash.
	for at := 1000; at < len(whole)-10; at += len(whole) / 50 {
		broken := append([]byte(nil), whole...)
		for i := range 8 {
			broken[at+i] ^= 0xa5
		}
		if err := read(broken); err != io.EOF && !strings.Contains(err.Error(), "t.parquet") {
			t.Errorf("damage at %d: %v", at, err)
		}
	}
}

func TestParquetFilesDisagree(t *testing.T) {
	type narrow struct {
		X int32  `parquet:"x"`
		F string `parquet:"f,dict"`
	}
	type wide struct {
		F string `parquet:"f,dict"`
		X int64  `parquet:"x"`
	}
	type more struct {
		X int32  `parquet:"x"`
		F string `parquet:"f,dict"`
		Y int32  `parquet:"y"`
	}
	type other struct {
		X string `parquet:"x"`
		F string `parquet:"f,dict"`
	}
	dir := t.TempDir()
	env := &stages.Env{Dir: dir}
	levels := func(l string) parquet.WriterOption {
		return parquet.KeyValueMetadata("rpipe.schema", `{"columns":[{"name":"f","type":"factor","meta":{"rpipe.levels":"[\"`+l+`\"]"}}]}`)
	}
	writeParquet(t, filepath.Join(dir, "a.parquet"), []narrow{{1, "p"}}, levels("p"))
	writeParquet(t, filepath.Join(dir, "b.parquet"), []wide{{"q", 1 << 40}}, levels("q"))
	writeParquet(t, filepath.Join(dir, "c.parquet"), []more{{}}, levels("p"))
	writeParquet(t, filepath.Join(dir, "d.parquet"), []other{{}}, levels("p"))
	if got, want := flatten(t, &Parquet{Path: Paths{"a.parquet", "b.parquet"}}, env), "x int64, f factor\n1|p\n1099511627776|q\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f := func(want string, p Parquet) {
		t.Helper()
		if _, err := rowsOf(t, &p, env); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	f(`parquet: c.parquet does not have the columns of a.parquet: column "y" is new; name the columns`, Parquet{Path: Paths{"a.parquet", "c.parquet"}})
	f(`parquet: d.parquet does not have the columns of a.parquet: column "x"`, Parquet{Path: Paths{"a.parquet", "d.parquet"}})
	f(`parquet: columns: no column "fx" in a.parquet; did you mean "x"?`, Parquet{Path: Paths{"a.parquet"}, Columns: []string{"fx"}})
	if n, err := rowsOf(t, &Parquet{Path: Paths{"a.parquet", "c.parquet"}, Columns: []string{"f"}}, env); n != 2 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}
