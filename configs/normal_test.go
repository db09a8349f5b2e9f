package configs

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const everything = `version: 1
name: 'with: colon'
r:
  source: model.R
  seed: 0
  env: {TOKEN: hunter2}
  token: hunter2
  level: debug
source:
  csv: {path: [a.csv, "b${N}.csv"], types: {x: int, a: double}}
stages:
  - batch:
  - name: score
    map:
      fun: f
      returns: {b: double, a: "1"}
      retry: {wait: 90m}
  - derive: {z: x + 1, a: 3}
  - filter: x > $${N}
  - join: {table: t.csv, on: [id, day]}
  - join: {table: {csv: {path: t.csv}}, on: {id: key}}
  - split: {when: x, stages: [{batch: {bytes: 1.5GB}}]}
labels: {one: 1, two: true}
`

func TestNormalized(t *testing.T) {
	f, problems := read(everything)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text, err := Normalized(f)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/normal.yaml", text)
}

func TestNormalizedReadsBackAsTheSame(t *testing.T) {
	secrets := strings.NewReplacer("hunter2", "'***'")
	for _, text := range []string{minimal, secrets.Replace(everything), minimal + "dead_letter: {path: a}\n"} {
		f, problems := read(text)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		compareNormalized(t, f)
	}
}

func TestNormalizedKeepsAnyText(t *testing.T) {
	word := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \n\t$\{\}:#'"|>~x0-9.eyno-]{0,12}`), rapid.SampledFrom([]string{
		"null", "~", "yes", "1e3", "0x10", "2001-01-01", "<<", "=", "${N}", "$${N}", "$", "- a", "a\n\n", " a\n b\n", "\ufeff", "a\r\nb", "\u2028",
	}))
	rapid.Check(t, func(t *rapid.T) {
		f := &pipelineFile{Version: 1, Memory: 1 << 20, Name: word.Draw(t, "name")}
		f.R = rBlock{Workers: workers{Min: 1, Idle: Duration(rapid.Int64Range(1e9, 864e11).Draw(t, "idle"))}, Level: 1}
		f.R.Share = rapid.Float64Range(0, 1).Draw(t, "share")
		f.Source.Use = &csvSource{Path: []string{word.Filter(filled).Draw(t, "path")}, NA: rapid.SliceOf(word).Draw(t, "na")}
		f.Source.Use.(*csvSource).OnError = "stop"
		f.Labels = map[string]string{word.Draw(t, "key"): word.Draw(t, "label")}
		p := Pair{Name: word.Draw(t, "column"), Value: word.Draw(t, "type"), Quoted: true}
		f.Stages = []stageSpec{
			{Use: &mapStage{Fun: "f", Rows: "any", Failures: Failures{OnError: "skip"}, Returns: Pairs{p}}},
			{Use: &batchStage{Rows: 1, Bytes: Size(rapid.Int64Range(1024, 1<<62).Draw(t, "bytes"))}},
		}
		compareNormalized(t, f)
	})
}

func filled(text string) bool { return text != "" }

// compareNormalized decodes what Normalized writes, and compares it.
func compareNormalized(t rapid.TB, f *pipelineFile) {
	t.Helper()
	text, err := Normalized(f)
	if err != nil {
		t.Fatal(err)
	}
	again, problems := read(string(text))
	if len(problems) > 0 {
		t.Fatalf("%v\n%s\n%q", problems, text, text)
	}
	if diff := cmpDiff(f, again); diff != "" {
		t.Fatalf("%s\n%s", diff, text)
	}
}

func TestNormalizedKeepsAnyValue(t *testing.T) {
	scalar := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(x bool) any { return x }),
		rapid.Map(rapid.Int64(), func(x int64) any { return x }),
		rapid.Map(rapid.Float64(), func(x float64) any { return x }),
		rapid.Map(rapid.Int64(), func(x int64) any { return float64(x) }),
		rapid.Map(rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9.eEx+_infna~-]{1,6}`)), func(x string) any { return x }),
		rapid.SampledFrom([]any{math.Inf(1), math.Inf(-1), "true", "null", "1e3", ".inf", "${N}", "2001-01-01"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		row := Object{{"a", scalar.Draw(t, "a")}, {"b.c", rapid.SliceOfN(scalar, 1, 3).Draw(t, "b")}}
		f := &pipelineFile{Version: 1, Memory: 1 << 20}
		defaultsOf(f)
		f.Source.Use = &rowsSource{Data: []any{row, scalar.Draw(t, "c")}}
		compareNormalized(t, f)
	})
}
