package tables

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// R's merge() gives the same rows, where NA is made to match nothing.
func TestJoinIsRsMerge(t *testing.T) {
	ours := table(schema("id double", "zone string", "x int32"),
		"1 north 1", "2 north 2", "NA north 3", "1 NA 4", "NaN north 5", "3 south 6", "1 north 7", "-0 south 8")
	theirs := table(schema("id int32", "zone string", "y string"),
		"1 north a", "1 north b", "NA north c", "3 south d", "1 NA e", "0 south f")
	dir := t.TempDir()
	save(t, dir, "ours.csv", ours)
	save(t, dir, "theirs.csv", theirs)
	const code = `
ours <- read.csv(file.path(commandArgs(TRUE)[1], "ours.csv"))
theirs <- read.csv(file.path(commandArgs(TRUE)[1], "theirs.csv"))
keys <- c("id", "zone")
known <- theirs[complete.cases(theirs[keys]), ]
how <- commandArgs(TRUE)[2]
both <- merge(ours, known, by = keys, all.x = how == "left")
out <- switch(how,
  left = , inner = both[c("id", "zone", "x", "y")],
  semi = ours[ours$x %in% both$x, ],
  anti = ours[!ours$x %in% both$x, ]
)
write.table(out, quote = FALSE, row.names = FALSE, col.names = FALSE)
`
	for _, how := range []string{"left", "inner", "semi", "anti"} {
		settings := "{on: [id, zone], how: " + how + ", duplicates: all}"
		got, err := passed(t, testEnv(t, ""), join(t, settings, theirs), ours)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "-e", code, filepath.Clean(dir), how).CombinedOutput()
		if err != nil {
			t.Fatalf("Rscript: %v\n%s", err, out)
		}
		want := strings.Split(strings.TrimSpace(string(out)), "\n")
		text := lines(whole(t, got))
		for i := range text {
			text[i] = strings.NewReplacer("-0 ", "0 ", "NaN ", "NA ").Replace(text[i]) // as R writes them
		}
		slices.Sort(want)
		slices.Sort(text)
		if d := cmp.Diff(want, text); d != "" {
			t.Errorf("%s: %s", how, d)
		}
	}
}
