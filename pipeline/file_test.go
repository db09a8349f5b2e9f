package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFileCheck holds what a file says of itself as a whole.
func TestFileCheck(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(path, []byte("version: 1\n"+text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, problems := Load(path, nil)
		var got []string
		for _, p := range problems {
			got = append(got, p.Path+": "+p.Message)
		}
		if len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("got %q, want %q", got[i], want[i])
			}
		}
	}
	const ends = "source: {csv: {path: in.csv}}\nsink: {csv: {path: out}}\n"
	const filter = "{filter: \"x > 1\"}"
	named := func(names ...string) string {
		text := ends + "stages:\n"
		for _, n := range names {
			if n == "" {
				text += "  - " + filter + "\n"
			} else {
				text += fmt.Sprintf("  - {name: %q, filter: \"x > 1\"}\n", n)
			}
		}
		return text
	}
	f(named("a", "Late rows_2.b-c", "filter", "sources"))
	f(named("", "a", "filter-1")) // the one without a name is called filter
	f(named("../x"), `stages[0].name: "../x" is no name`)
	f(named("."), `stages[0].name: "." is no name`)
	f(named("a/b", "a=b"), `stages[0].name: "a/b" is no name`, `stages[1].name: "a=b" is no name`)
	f(named(strings.Repeat("a", 101)), "stages[0].name")
	f(named("source", "sink"), "stages[0].name: is the label of the source too", "stages[1].name: is the label of the sink too")
	f(named("a", "a"), "stages[1].name: is the label of another stage too: a")
	f(named("filter", ""), "stages[0].name: is the label of a stage without a name too: filter")
	f(named("", "filter-2", ""), "stages[1].name: is the label of a stage without a name too: filter-2")

	const none = "says on_error: dead_letter, and there is no dead_letter block"
	sink := "sink: {csv: {path: out}}\n"
	dead := ", on_error: dead_letter"
	f("source: {csv: {path: in.csv"+dead+"}}\n"+sink, "source: "+none)
	f("source: {ndjson: {path: in.ndjson"+dead+"}}\n"+sink, "source: "+none)
	f("source: {csv: {path: in.csv" + dead + "}}\ndead_letter: {path: d}\n" + sink)
	f(ends+"r: {source: f.R}\nstages:\n  - {map: {fun: f, rows: same"+dead+"}}\n", "stages[0]: "+none)
	f(ends+"stages:\n  - {filter: {where: x > 1"+dead+"}}\n  - {derive: {y: x"+dead+"}}\n", "stages[0]: "+none, "stages[1]: "+none)
	f(ends + "r: {source: f.R}\nstages:\n  - {map: {fun: f, rows: same, on_error: skip}}\n")
}
