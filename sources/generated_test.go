package sources

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/stages"
)

func TestRange(t *testing.T) {
	p := func(v int64) *int64 { return &v }
	f := func(r Range, want string) {
		t.Helper()
		if got := strings.Join(strings.Fields(flatten(t, &r, &stages.Env{})), " "); got != want {
			t.Errorf("%+v: %s, want %s", r, got, want)
		}
	}
	f(Range{From: 1, To: p(3), Step: 1}, "i int32 1 2 3")
	f(Range{From: 1, To: p(6), Step: 2, Column: "n"}, "n int32 1 3 5")
	f(Range{From: 5, To: p(1), Step: -2}, "i int32 5 3 1")
	f(Range{From: 5, To: p(1), Step: 1}, "i int32")
	f(Range{From: math.MaxInt32, Rows: p(2), Step: 1}, "i int64 2147483647 2147483648")
	f(Range{From: math.MinInt64, Rows: p(2), Step: math.MaxInt64}, "i int64 -9223372036854775808 -1")
	f(Range{From: 0, Rows: p(2), Step: math.MinInt64}, "i int64 0 -9223372036854775808")

	bad := func(r Range) {
		t.Helper()
		problems := 0
		r.Check(func(string, string, string) { problems++ })
		if _, err := r.Open(t.Context(), &stages.Env{}, ""); err == nil || problems != 1 {
			t.Errorf("%+v: %v, %d problems", r, err, problems)
		}
	}
	bad(Range{Step: 1})
	bad(Range{Step: 1, To: p(1), Rows: p(1)})
	bad(Range{Step: 0, To: p(1)})
	bad(Range{From: math.MaxInt64, Rows: p(2), Step: 1})
	bad(Range{From: math.MinInt64 + 5, Rows: p(2), Step: -6})
	bad(Range{From: math.MinInt64, To: p(math.MaxInt64), Step: 1})
}

func TestRows(t *testing.T) {
	row := func(kv ...any) (o configs.Object) {
		for i := 0; i < len(kv); i += 2 {
			o = append(o, configs.Member{Key: kv[i].(string), Value: kv[i+1]})
		}
		return o
	}
	s := &Rows{
		Rows: []any{
			row("a", int64(1), "b", true, "c", "x", "d", "2024-01-01", "e", int64(1), "f", int64(3_000_000_000)),
			row("g", nil, "c", int64(7), "e", 2.5),
			row("a", nil, "b", false, "h", math.Inf(-1)),
		},
		Types: map[string]string{"d": "date"},
	}
	want := `a int32, b bool, c string, d date, e double, f int64, g string, h double
1|true|x|2024-01-01|1|3000000000|<NA>|<NA>
<NA>|<NA>|7|<NA>|2.5|<NA>|<NA>|<NA>
<NA>|false|<NA>|<NA>|<NA>|<NA>|<NA>|-Inf
`
	if got := flatten(t, s, &stages.Env{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f := func(want string, s Rows) {
		t.Helper()
		got := ""
		s.Check(func(_, message, _ string) { got = message })
		if _, err := s.Open(t.Context(), &stages.Env{}, ""); err == nil || !strings.Contains(got, want) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v and %q, want %s", err, got, want)
		}
	}
	f(`row 1, column "a": a value must be a text`, Rows{Rows: []any{row("a", []any{})}})
	f("row 1 is not a mapping", Rows{Rows: []any{int64(1)}})
	f(`row 2, column "a": "x" is not an int32`, Rows{Rows: []any{row("a", int64(1)), row("a", "x")}, Types: map[string]string{"a": "int32"}})
	f(`types: no column "b"; there are a`, Rows{Rows: []any{row("a", int64(1))}, Types: map[string]string{"b": "int32"}})
}

func TestHead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.parquet")
	writeParquet(t, path, manyRows(16000))
	for n, want := range map[int]int64{0: 0, 5: 5, 15500: 15500, 20000: 16000} {
		f, err := Head(t.Context(), path, n)
		if err != nil || f.NumRows() != want || f.NumCols() != 7 {
			t.Fatalf("head %d: %v, %v", n, f, err)
		}
		if want > 0 && first(t, f, int(want)-1) != int(want)-1 {
			t.Errorf("head %d: row %d is %d", n, want-1, first(t, f, int(want)-1))
		}
	}
	if _, err := Head(t.Context(), path+"x", 1); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error %v", err)
	}
}

// R writes, we read.
func TestRDSOfR(t *testing.T) {
	dir := t.TempDir()
	r := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "-e",
		`d <- data.frame(n = c(1.5, NA), s = c("a", NA), f = factor(c("y", "x")), when = as.POSIXct(c(0, 1), origin = "1970-01-01", tz = "UTC"));`+
			`saveRDS(d, "d.rds"); saveRDS(1:3, "v.rds"); saveRDS(d[c("n", "s")], "short.rds", compress = "xz")`)
	r.Dir = dir
	if out, err := r.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	env := &stages.Env{Dir: dir}
	want := "n double, s string, f factor, when timestamp[UTC]\n1.5|a|y|1970-01-01T00:00:00Z\n<NA>|<NA>|x|1970-01-01T00:00:01Z\n"
	if got := flatten(t, &RDS{Path: Paths{"d.rds"}}, env); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := flatten(t, &RDS{Path: Paths{"d.rds", "short.rds"}, Columns: []string{"s"}}, env); got != "s string\na\n<NA>\na\n<NA>\n" {
		t.Errorf("got\n%s", got)
	}
	f := func(want string, paths ...string) {
		t.Helper()
		if _, err := rowsOf(t, &RDS{Path: paths}, env); err == nil || !strings.HasPrefix(err.Error(), "rds: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	f("is not a data frame", "v.rds")
	f("short.rds: ", "d.rds", "short.rds")
	if err := os.WriteFile(filepath.Join(dir, "cut.rds"), []byte("\x1f\x8b\x08"), 0o666); err != nil {
		t.Fatal(err)
	}
	f("cut.rds: ", "cut.rds")
}
