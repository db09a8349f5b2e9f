//go:build cgo && unix

package predict

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
)

// piped brings up an endpoint of a pipeline.
func piped(t *testing.T, yaml string, edit func(*Endpoint)) *Predictor {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"p.yaml": "version: 1\n" + yaml + "\nsink: {stdout: {}}\n", "zones.csv": "id,zone\n1,north\n2,south\n2,west\n",
		"model.R": "score <- function(d) {\n  if (any(d$x < 0)) stop(\"x is negative\")\n  d$y <- 2 * d$x\n  d\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Pool: shared(t), Dir: dir}
	configs.SetDefaults(&o.Endpoint)
	o.Endpoint.Pipeline = "p.yaml"
	edit(&o.Endpoint)
	return bringUp(t, o)
}

const scored = `
r: {source: [model.R]}
source: {rows: [{id: 1, x: 0.5}]}
stages:
  - join: {dataset: zones.csv, on: [id], duplicates: all, how: inner}
  - map: {fun: score, rows: same, returns: {id: int64, x: double, zone: string, y: double}}
  - select: [zone, y]
`

func TestAPipelineAnswersWithWhatItsStagesMake(t *testing.T) {
	p := piped(t, scored, func(e *Endpoint) { e.Keys = []string{"id"} })
	f := func(body, want string, headers ...string) {
		t.Helper()
		w := post(t, p, body, headers...)
		if w.Code != 200 || w.Body.String() != want+"\n" {
			t.Errorf("%s:\n%d %s\nwant\n%s", body, w.Code, w.Body, want)
		}
	}
	f(`[{"id": 1, "x": 0.5}, {"id": 9, "x": 1}, {"id": 2, "x": 2}]`, `[{"id":1,"zone":"north","y":1},{"id":2,"zone":"south","y":4},{"id":2,"zone":"west","y":4}]`)
	f(`{"id": 1, "x": 3}`, `{"id":1,"zone":"north","y":6}`)
	f(`{"id": 2, "x": 3}`, `[{"id":2,"zone":"south","y":6},{"id":2,"zone":"west","y":6}]`)
	f(`{"id": 9, "x": 3}`, `[]`)
	f("id,x\n1,0.25\n", "id,zone,y\n1,north,0.5", "Content-Type: text/csv")
	f(`[{"id": 1, "x": "many"}, {"id": 1, "x": 1, "extra": 1}, {"id": 1, "x": 2}]`,
		`[{"error":{"index":0,"reason":"invalid","message":"x: \"many\" is not double","columns":{"x":"\"many\" is not double"}}},`+
			`{"error":{"index":1,"reason":"invalid","message":"extra: is not expected","columns":{"extra":"is not expected"}}},{"id":1,"zone":"north","y":4}]`)
}

// A stage that stops a run fails the row at fault alone.
func TestARowThatFailsInAPipelineHasItsOwnError(t *testing.T) {
	p := piped(t, scored, func(e *Endpoint) {})
	w := post(t, p, `[{"id": 1, "x": 1}, {"id": 1, "x": -1}, {"id": 1, "x": 2}]`)
	want := `[{"zone":"north","y":2},{"error":{"index":1,"reason":"r_error","message":"x is negative"}},{"zone":"north","y":4}]` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w = post(t, p, `[{"id": 1, "x": -1}]`); w.Code != 500 {
		t.Errorf("alone: %d %s", w.Code, w.Body)
	}
}

// What a stage sets aside is the error of its row, by the stage's name.
func TestWhatAStageSetsAsideIsTheErrorOfItsRow(t *testing.T) {
	p := piped(t, `
source: {rows: [{x: "1"}]}
stages:
  - derive: {n: cast(x AS INTEGER), on_error: skip}
  - select: [n]
`, func(e *Endpoint) {})
	w := post(t, p, `[{"x": "5"}, {"x": "five"}]`)
	got := w.Body.String()
	if w.Code != 200 || !strings.HasPrefix(got, `[{"n":5},{"error":{"index":1,"reason":"rejected","message":"derive: `) {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestAPipelineThatCannotServeDoesNotComeUp(t *testing.T) {
	o := Options{Pool: shared(t), Dir: t.TempDir()}
	configs.SetDefaults(&o.Endpoint)
	o.Endpoint.Pipeline = "missing.yaml"
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "missing.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
}
