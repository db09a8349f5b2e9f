package compact

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
)

// rowsOf makes a frame of texts, "" being a missing value.
func rowsOf(t testing.TB, s *frame.Schema, rows ...[]string) frame.Frame {
	t.Helper()
	b := frame.NewBuilder(s)
	for _, row := range rows {
		for k, v := range row {
			if v == "" {
				b.Column(k).AppendNull()
			} else if !b.Column(k).ParseText([]byte(v)) {
				t.Fatalf("%q is no %s", v, frame.TypeName(s.Field(k)))
			}
		}
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// text is a frame as lines.
func text(f frame.Frame) []string {
	var lines []string
	for i := range int(f.NumRows()) {
		var cells []string
		for _, c := range f.Columns() {
			cells = append(cells, string(frame.AppendText(nil, c, i, frame.TextOptions{Null: "NA"})))
		}
		lines = append(lines, strings.Join(cells, " "))
	}
	return lines
}

// grown makes an output whose files do not have the same columns: outputs of
// several runs, of which one manifest names all.
func grown(t testing.TB, frames ...frame.Frame) (*Options, string) {
	t.Helper()
	env := testEnv(t, "run-1")
	dir := filepath.Join(env.Dir, "out")
	for i, f := range frames {
		write(t, env, "run-"+string(rune('1'+i)), sinks.Parquet{Path: "part" + string(rune('1'+i))}, f)
	}
	join(t, dir, len(frames))
	o := options(env, "out")
	return &o, dir
}

// Columns that came later are NULL before; types widen; levels are joined.
func TestSchemaGrows(t *testing.T) {
	first := columns(t, "id int64", "n int32", "s string", "f factor")
	second := columns(t, "n double", "id int64", "s factor", "f factor", "new timestamp[UTC]")
	levels := second.Field(3)
	levels.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaLevels: `["mid","top"]`})
	fields := second.Fields()
	fields[3] = levels
	second = arrow.NewSchema(fields, nil)
	o, dir := grown(t,
		rowsOf(t, first, []string{"1", "7", "low", "low"}, []string{"2", "", "", ""}),
		rowsOf(t, second, []string{"1.5", "3", "high", "top", "2026-11-01T00:00:00Z"}),
		rowsOf(t, first, []string{"4", "8", "x", "high"}))
	r := compacted(t, *o)
	f := read(t, o.Env, "out")
	if d := cmp.Diff([]string{"1 7 low low NA", "2 NA NA NA NA", "3 1.5 high top 2026-11-01T00:00:00Z", "4 8 x high NA"}, text(f)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("id  int64\nn   double\ns   string\nf   factor\nnew timestamp[UTC]\n", frame.FormatSchema(f.Schema())); d != "" {
		t.Error(d)
	}
	if v, _ := f.Schema().Field(3).Metadata.GetValue(frame.MetaLevels); v != `["low","mid","high","none of the rows has it","top"]` {
		t.Error(v)
	}
	if d := cmp.Diff([]string{"new"}, r.Columns) + cmp.Diff([]string{"n", "s"}, r.Widened); d != "" {
		t.Error(d)
	}
	want := []column{{"id", "int64"}, {"n", "double"}, {"s", "string"}, {"f", "factor"}, {"new", "timestamp[UTC]"}}
	if d := cmp.Diff(want, manifestOf(t, dir).Schema); d != "" {
		t.Error(d)
	}
}

// A file that lacks a column is written anew even where it is large or alone.
func TestOneFileThatLacksColumns(t *testing.T) {
	o, dir := grown(t,
		rowsOf(t, columns(t, "id int64", "x double"), []string{"1", "2"}),
		rowsOf(t, columns(t, "id int64"), []string{"2"}))
	o.TargetSize = 1
	r := compacted(t, *o)
	if r.Kept != 1 || r.Merged != 1 {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff([]string{"1 2", "2 NA"}, text(read(t, o.Env, "out"))); d != "" {
		t.Error(d)
	}
	if n := len(parquets(t, dir)); n != 2 {
		t.Errorf("%d files", n)
	}
}

func TestSchemasThatDoNotGoTogether(t *testing.T) {
	f := func(a, b *frame.Schema, x, y, want string) {
		t.Helper()
		o, dir := grown(t, rowsOf(t, a, []string{"1", x}), rowsOf(t, b, []string{"2", y}))
		before := tree(t, dir)
		_, err := Run(t.Context(), *o)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "compact out: run-2") {
			t.Errorf("%v; want %s", err, want)
		}
		if d := cmp.Diff(before, tree(t, dir)); d != "" {
			t.Error(d)
		}
	}
	ordered := func(levels string) *frame.Schema {
		s := columns(t, "id int64", "x ordered")
		fields := s.Fields()
		fields[1].Metadata = arrow.MetadataFrom(map[string]string{frame.MetaLevels: levels})
		return arrow.NewSchema(fields, nil)
	}
	f(columns(t, "id int64", "x double"), columns(t, "id int64", "x string"), "1", "a", `column "x"`)
	f(columns(t, "id int64", "x date"), columns(t, "id int64", "x timestamp"), "2026-01-01", "2026-01-01 00:00:00", `column "x"`)
	f(ordered(`["a","b"]`), ordered(`["b","a"]`), "a", "a", "the order of its levels")
}

// The order of levels that each of the files knows in part is found again.
func TestOrderedLevels(t *testing.T) {
	s := func(levels string) *frame.Schema {
		f := columns(t, "id int64", "x ordered").Fields()
		f[1].Metadata = arrow.MetadataFrom(map[string]string{frame.MetaLevels: levels})
		return arrow.NewSchema(f, nil)
	}
	o, _ := grown(t, rowsOf(t, s(`["low","high"]`), []string{"1", "high"}), rowsOf(t, s(`["low","mid","high"]`), []string{"2", "mid"}))
	compacted(t, *o)
	f := read(t, o.Env, "out")
	if d := cmp.Diff([]string{"1 high", "2 mid"}, text(f)); d != "" {
		t.Error(d)
	}
	if v, _ := f.Schema().Field(1).Metadata.GetValue(frame.MetaLevels); v != `["low","mid","high"]` || frame.TypeName(f.Schema().Field(1)) != "ordered" {
		t.Error(v, frame.TypeName(f.Schema().Field(1)))
	}
}
