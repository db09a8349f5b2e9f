package tables

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
)

var trips = table(schema("id int64", "at timestamp[Europe/Berlin]", "zone factor"),
	"1 2024-01-01T10:00:00Z x", "2 NA y", "7 2024-01-01T10:00:00Z x")

// join is one as a file has it, of trips with a dataset that a test gives.
func join(t testing.TB, settings string, dataset frame.Frame) *Join {
	t.Helper()
	c, problems := decoded[Join](t, "{dataset: x.csv, "+settings[1:])
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	c.Dataset = from(dataset)
	return c
}

func TestJoinColumns(t *testing.T) {
	f := func(settings string, want ...string) {
		t.Helper()
		c := join(t, settings, zones)
		env := testEnv(t, "")
		planned, err := c.PlanWith(t.Context(), env, trips.Schema())
		if err != nil {
			t.Fatalf("%s: %v", settings, err)
		}
		got, err := passed(t, env, c, trips)
		if err != nil {
			t.Fatalf("%s: %v", settings, err)
		}
		out := whole(t, got)
		if !planned.Equal(out.Schema()) {
			t.Errorf("%s: planned %v, got %v", settings, planned, out.Schema())
		}
		if d := cmp.Diff(want, append([]string{strings.Join(frameNames(out), " ")}, lines(out)...)); d != "" {
			t.Errorf("%s: %s", settings, d)
		}
	}
	const one, two, seven = "1 2024-01-01T11:00:00+01:00 x", "2 NA y", "7 2024-01-01T11:00:00+01:00 x"
	f("{on: id, suffix: _of}", "id at zone zone_of area", one+" north 1.5", two+" NA 2", seven+" NA NA")
	f("{on: [id], columns: [area]}", "id at zone area", one+" 1.5", two+" 2", seven+" NA")
	f("{on: {id: id}, columns: area, how: inner}", "id at zone area", one+" 1.5", two+" 2")
	f("{on: {zone: zone}, columns: area}", "id at zone area", one+" NA", two+" NA", seven+" NA")
	f("{on: id, how: semi}", "id at zone", one, two)
	f("{on: id, how: anti}", "id at zone", seven)
	f("{on: [id, zone], how: anti}", "id at zone", one, two, seven)
	f("{on: [id, zone], how: inner}", "id at zone area") // nothing is left but the columns
}

// Levels, zones and units of a dataset arrive as they are, and nulls where
// nothing matches.
func TestJoinKeepsTypes(t *testing.T) {
	dataset := table(schema("key int32", "f ordered", "z timestamp[America/New_York]", "d difftime[mins]", "j json", "b binary", "l bool"),
		"1 low 2024-01-01T10:00:00Z 5 [1] AQI= true", "2 high NA NA NA NA NA")
	c := join(t, "{on: {id: key}}", dataset)
	got, err := passed(t, testEnv(t, ""), c, trips, trips)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("%d batches", len(got))
	}
	for i, b := range got {
		added, err := frame.Select(b.Value, names(dataset.Schema().Fields()[1:]))
		if err != nil {
			t.Fatal(err)
		}
		for k, f := range added.Schema().Fields() {
			if want := dataset.Schema().Field(k + 1); !f.Equal(want) {
				t.Errorf("%v became %v", want, f)
			}
		}
		want := []string{"low 2024-01-01T05:00:00-05:00 5 [1] AQI= true", "high NA NA NA NA NA", "NA NA NA NA NA NA"}
		if d := cmp.Diff(want, lines(added)); d != "" {
			t.Error(d)
		}
		if b.Epoch != uint64(i+1) || b.Seq != uint64(i) {
			t.Errorf("batch %d has epoch %d and number %d", i, b.Epoch, b.Seq)
		}
	}
}

func TestJoinThatCannotBe(t *testing.T) {
	f := func(settings string, dataset frame.Frame, want string) {
		t.Helper()
		c := join(t, settings, dataset)
		_, err := c.PlanWith(t.Context(), testEnv(t, ""), trips.Schema())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", settings, err, want)
		}
		if _, err := passed(t, testEnv(t, ""), c, trips); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: at the run: %v\nwant %s", settings, err, want)
		}
	}
	f("{on: id}", zones, "both sides have a column zone: say suffix: _right")
	f("{on: id, suffix: _1}", table(schema("id int32", "zone string", "zone_1 string")), "two columns zone_1: take another suffix")
	f("{on: ix}", zones, `there is no column "ix", did you mean "id"?`)
	f("{on: {ix: id}}", zones, `on: there is no column "ix", did you mean "id"?`)
	f("{on: id, columns: [ara]}", zones, `there is no column "ara", did you mean "area"?`)

	mismatch := func(ours, theirs, want string) {
		t.Helper()
		f(fmt.Sprintf("{on: {%s: key}}", ours), table(schema("key "+theirs)), want)
	}
	mismatch("id", "string", `on: id is int64 and key is string, which have no values in common: put derive: {id: CAST("id" AS VARCHAR)} before the join`)
	mismatch("zone", "int32", `CAST("zone" AS BIGINT)`)
	mismatch("zone", "double", `CAST("zone" AS DOUBLE)`)
	mismatch("at", "date", `on: at is timestamp[Europe/Berlin] and key is date, which have no values in common: put derive: {at: CAST("at" AS DATE)}`)
	mismatch("at", "timestamp", `{at: "at" AT TIME ZONE 'Europe/Berlin'}`)
	mismatch("zone", "timestamp[UTC]", `CAST("zone" AS TIMESTAMPTZ)`)
	mismatch("zone", "timestamp", `CAST("zone" AS TIMESTAMP)`)
	mismatch("id", "bool", `CAST("id" AS BOOLEAN)`)
	mismatch("id", "list<int32>", "a list cannot be a key")
	mismatch("zone", "binary", "give both one type")
}

func TestJoinSettingsThatDoNotGoTogether(t *testing.T) {
	f := func(settings, want string) {
		t.Helper()
		_, problems := decoded[Join](t, "{dataset: x.csv, "+settings[1:])
		if len(problems) != 1 || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: %v\nwant %s", settings, problems, want)
		}
	}
	f("{on: id, how: semi, columns: [a]}", "columns: does nothing with how: semi")
	f("{on: id, how: anti, suffix: _x}", "suffix: does nothing with how: anti")
	f("{on: [id, id]}", `column "id" is named twice`)
	f("{on: {a: id, b: id}}", `column "id" of the dataset is named twice`)
	f("{on: id, columns: [a, a]}", `columns: column "a" is named twice`)
	f("{on: {a: id}, columns: [id]}", `column "id" is a key`)
	f("{on: []}", "on: is empty")
	f("{}", "on: is required")
}

func TestJoinWithoutAnInputSchema(t *testing.T) {
	c := join(t, "{on: id}", zones)
	if s, err := c.PlanWith(t.Context(), testEnv(t, ""), nil); s != nil || err != nil {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := c.Plan(trips.Schema()); s != nil || err != nil {
		t.Errorf("%v, %v", s, err)
	}
	c = join(t, "{on: id, how: semi}", zones)
	if s, err := c.Plan(trips.Schema()); !s.Equal(trips.Schema()) || err != nil {
		t.Errorf("%v, %v", s, err)
	}
}

func TestDuplicateKeysAreNamed(t *testing.T) {
	dataset := table(schema("id int64", "day date", "x int32"),
		"1 2024-01-01 1", "2 2024-01-01 2", "1 2024-01-01 3", "NA 2024-01-01 4", "NA 2024-01-01 5", "1 2024-01-01 6", "1 2024-01-01 7")
	f := func(settings, want string) {
		t.Helper()
		_, err := passed(t, testEnv(t, ""), join(t, settings, dataset), table(schema("id int64", "day date"), "2 2024-01-01"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: %v\nwant %s", settings, err, want)
		}
	}
	f("{on: [id, day]}", "1 key stands in more than one row: id=1, day=2024-01-01 in 4 rows (1, 3, 6, …); "+
		"say duplicates: first to take the first of them, or duplicates: all for a row of output for each")
	f("{on: id, how: inner, columns: x}", "1 key stands in more than one row: id=1 in 4 rows (1, 3, 6, …); say duplicates: first to take the first of them, or duplicates: all for a row of output for each")
	f("{on: id, how: semi}", "")
	f("{on: id, how: anti}", "")
	f("{on: id, columns: x, duplicates: first}", "")

	b := frame.NewBuilder(schema("id int64"))
	for i := range 5000 {
		b.Column(0).AppendInt64(int64(i / 2))
	}
	many, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	dataset = many
	f("{on: id}", "2500 keys stand in more than one row: id=0 in 2 rows (1, 2); id=1 in 2 rows (3, 4); id=2 in 2 rows (5, 6); …; "+
		"say duplicates: first to take the first of them, or duplicates: all for a row of output for each")
}

// A row that matches very many comes out in several batches, numbered anew, with
// the epoch and the accounts of the batch that it came by.
func TestJoinCutsWhatItMultiplies(t *testing.T) {
	const matches = 3*frame.Rows + 5
	b := frame.NewBuilderSize(schema("id int64", "n int32"), matches+1)
	for i := range matches {
		b.Column(0).AppendInt64(1)
		b.Column(1).AppendInt32(int32(i))
	}
	b.Column(0).AppendInt64(2)
	b.Column(1).AppendInt32(-1)
	dataset, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(t, "")
	ids := schema("id int64")
	got, err := passed(t, env, join(t, "{on: id, duplicates: all, how: inner}", dataset), table(ids, "2", "1", "9"), table(ids, "9"), table(ids, "1", "2"))
	if err != nil {
		t.Fatal(err)
	}
	var epochs []uint64
	for i, b := range got {
		if b.Rows > frame.Rows || b.Rows == 0 || b.Seq != uint64(i) {
			t.Errorf("batch %d has %d rows", b.Seq, b.Rows)
		}
		epochs = append(epochs, b.Epoch)
	}
	if d := cmp.Diff([]uint64{1, 1, 1, 1, 3, 3, 3, 3}, epochs); d != "" {
		t.Error(d)
	}
	text := lines(whole(t, got))
	if len(text) != 2*matches+2 || text[0] != "2 -1" || text[1] != "1 0" || text[matches] != fmt.Sprint("1 ", matches-1) || text[2*matches+1] != "2 -1" {
		t.Errorf("%d rows, from %q to %q", len(text), text[:2], text[len(text)-2:])
	}
	if next := string(env.Notes(3)["stage"]); next != "8" {
		t.Errorf("the next number on record is %s", next)
	}

	resumed := testEnv(t, "")
	resumed.Remember(env.Notes(3))
	got, err = passed(t, resumed, join(t, "{on: id, duplicates: all}", zones), table(ids, "2"))
	if err != nil || got[0].Seq != 8 {
		t.Errorf("after a resume: %v, %v", got, err)
	}
}

func TestDatasetThatDoesNotFit(t *testing.T) {
	b := frame.NewBuilder(schema("id int64", "text string"))
	for i := range 10000 {
		b.Column(0).AppendInt64(int64(i))
		b.Column(1).AppendString(strings.Repeat("x", 50))
	}
	part, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	f := func(settings string, want string) {
		t.Helper()
		c := join(t, settings, part)
		c.Dataset.Use.(*given).frames = []frame.Frame{part, part, part}
		_, err := passed(t, testEnv(t, ""), c, table(schema("id int64"), "1"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v\nwant %s", settings, err, want)
		}
	}
	f("{on: id, duplicates: all, max_memory: 1MiB}", "it does not fit into max_memory, which is 1MiB: 20000 rows take 1.2 MiB; raise max_memory")
	f("{on: id, duplicates: all, max_memory: 2MiB}", "its 30000 rows take 1.8 MiB, and their index 761.7 KiB; raise max_memory")
	f("{on: id, duplicates: all, max_memory: 3MiB}", "")
	f("{on: id, duplicates: all, columns: [], max_memory: 1MiB}", "")
	f("{on: id, how: semi, max_memory: 1MiB}", "")
}

// A batch whose columns changed from one to the next, as R's may, is joined by
// its own.
func TestJoinOfChangingTypes(t *testing.T) {
	c := join(t, "{on: id, columns: [area]}", zones)
	got, err := passed(t, testEnv(t, ""), c,
		table(schema("id int32"), "1", "2"), table(schema("id double"), "1", "1.5"), table(schema("id int64"), "3"), table(schema("id int32")))
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, b := range got {
		text = append(text, lines(b.Value)...)
	}
	if d := cmp.Diff([]string{"1 1.5", "2 2", "1 1.5", "1.5 NA", "3 NA"}, text); d != "" {
		t.Error(d)
	}
}

// The columns of an API are known when the first answer has come.
func TestDatasetOfLateColumns(t *testing.T) {
	f := func(settings string, frames []frame.Frame, want string) {
		t.Helper()
		c := join(t, settings, zones)
		g := c.Dataset.Use.(*given)
		g.late, g.frames = true, frames
		if s, err := c.PlanWith(t.Context(), testEnv(t, ""), trips.Schema()); s != nil || err != nil {
			t.Errorf("planned %v, %v", s, err)
		}
		got, err := passed(t, testEnv(t, ""), c, trips)
		text := fmt.Sprint(err)
		if err == nil {
			text = strings.Join(lines(whole(t, got)), ", ")
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %s\nwant %s", settings, text, want)
		}
	}
	all := []frame.Frame{zones}
	f("{on: id, columns: area, how: inner}", all, "x 1.5, 2 NA y 2")
	f("{on: ix}", all, `on: dataset : there is no column "ix"`)
	f("{on: id}", all, "both sides have a column zone")
	f("{on: id}", nil, "it has no rows, and its columns are not known")
}

// One column holds 2 GiB of text; here that is 100 bytes.
func TestDatasetOfTooMuchText(t *testing.T) {
	maxText = 100
	defer func() { maxText = math.MaxInt32 }()
	long := table(schema("id int64", "text string"), "1 "+strings.Repeat("x", 60), "2 y")
	c := join(t, "{on: id, duplicates: first}", long)
	c.Dataset.Use.(*given).frames = []frame.Frame{long, frame.Slice(long, 1, 2)}
	if _, err := passed(t, testEnv(t, ""), c, table(schema("id int64"), "1")); err != nil {
		t.Error(err)
	}
	c.Dataset.Use.(*given).frames = []frame.Frame{long, long}
	_, err := passed(t, testEnv(t, ""), c, table(schema("id int64"), "1"))
	if err == nil || !strings.Contains(err.Error(), `column "text" has more than 2 GiB of text`) {
		t.Error(err)
	}
}
