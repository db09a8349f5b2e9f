package repo

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/program"
)

// variables are the -v that examples need.
var variables = map[string][]string{
	"configs/examples/data/make-flights.yaml": {"-v", "csv=download.csv", "-v", "out=made.parquet"},
}

// download stands for the file that make-flights.sh downloads.
const download = "year,carrier,flight,tailnum,origin,dest,dep_delay\n2013,UA,1545,N14228,EWR,IAH,2\n2013,AA,1141,N619AA,JFK,MIA,NA\n"

// limits keep large examples short.
var limits = map[string]string{"configs/examples/flights.yaml": "20000"}

// TestExamples: each pipeline of configs/examples passes the check, runs and
// gives rows. A proxy.yaml is none: it serves.
func TestExamples(t *testing.T) {
	isExample := func(name string) bool {
		return strings.HasPrefix(name, "configs/examples/") && path.Ext(name) == ".yaml" && path.Base(name) != "proxy.yaml"
	}
	found := files(t, isExample)
	for name := range maps.Keys(variables) {
		if !slices.Contains(found, name) {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range found {
		if slices.Contains(services, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "configs/examples"), os.DirFS(filepath.Join(root, "configs/examples"))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "configs/examples/data/download.csv"), []byte(download), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := run(t, dir, program.Path, append([]string{"check", name}, variables[name]...)...); err != nil {
				t.Fatalf("check: %v\n%s", err, out)
			}
			args := append([]string{"run", name, "--progress", "none", "--json"}, variables[name]...)
			if n := limits[name]; n != "" {
				args = append(args, "--limit", n)
			}
			out, err := run(t, dir, program.Path, args...)
			if err != nil {
				t.Fatalf("run: %v\n%s", err, out)
			}
			var report struct {
				Files []struct{ Rows int64 }
			}
			_, text, _ := strings.Cut("\n"+out, "\n{") // the log stands before it
			if err := json.Unmarshal([]byte("{"+text), &report); err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			var rows int64
			for _, f := range report.Files {
				rows += f.Rows
			}
			if rows == 0 {
				t.Error("it wrote no rows")
			}
		})
	}
}

// run runs a program in a directory; its output is both streams'.
func run(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}
