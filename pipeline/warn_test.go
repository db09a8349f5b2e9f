package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSeedsAreWarnedOf(t *testing.T) {
	f := func(stages, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "p.yaml")
		text := "version: 1\nr: {setup: x <- 1}\nsource: {range: {from: 1, to: 2, column: x}}\nsink: {csv: {path: out}}\nstages:\n" + stages
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, problems := Load(path, nil)
		if len(problems.Errors()) > 0 {
			t.Fatal(problems)
		}
		got := ""
		for _, p := range problems {
			if strings.HasSuffix(p.Path, "seed") {
				got = p.Path + ": " + p.Message
			}
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", stages, got, want)
		}
	}
	seeded := "  - map: {fun: f, seed: 1}\n"
	f(seeded, "")
	f("  - batch: {rows: 10}\n"+seeded, "")
	f("  - batch: {rows: 10, period: 1s}\n"+seeded, "stages[1].map.seed: numbers will differ from run to run: stages[0] cuts batches by period")
	f("  - batch: {period: 1s}\n  - batch: {rows: 10}\n"+seeded, "")
	f("  - map: {fun: f, ordered: false}\n  - batch: {rows: 10}\n"+seeded, "stages[0] does not keep the order")
	f("  - map: {fun: f, ordered: false}\n"+seeded, "stages[0] does not keep the order")
	fetch := "  - fetch: {url: 'http://x/{x}', ordered: true}\n"
	f(fetch+seeded, "stages[0] cuts batches by the time that answers come")
	f(fetch+"  - batch: {rows: 10}\n"+seeded, "")
	f("  - fetch: {url: 'http://x/{x}'}\n  - batch: {rows: 10}\n"+seeded, "stages[0] cuts batches by the time")
}
