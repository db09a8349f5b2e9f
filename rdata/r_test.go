package rdata

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// rscript runs a script of testdata and returns what it printed. R must be there:
// these tests are what says that the package speaks R's format and not its own.
func rscript(t *testing.T, script string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "Rscript", append([]string{"--vanilla", filepath.Join("testdata", script)}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Rscript %s: %v (R with bit64, data.table and tibble must be installed)\n%s%s", script, err, out, stderr.String())
	}
	return string(out)
}

var formats = []Format{{2, false}, {2, true}, {3, false}, {3, true}}

// equal compares values: NA and NaN each equal themselves, -0 is not 0, and nil
// and empty are the same.
var equal = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(equalFloats),
	cmp.Comparer(func(a, b complex128) bool { return equalFloats(real(a), real(b)) && equalFloats(imag(a), imag(b)) }),
	// without NA there may be no bits, or none set
	cmp.Transformer("missing", func(c *Character) map[string]any {
		if c == nil {
			return nil
		}
		m := map[string]any{"strings": c.Strings(), "attrs": c.Attrs}
		for i := range c.Len() {
			if c.IsNA(i) {
				m[fmt.Sprint("NA", i)] = true
			}
		}
		return m
	}),
}

func equalFloats(a, b float64) bool {
	if a != a || b != b {
		return a != a && b != b && IsNA(a) == IsNA(b)
	}
	return a == b && 1/a == 1/b
}

func TestGeneratedWithR(t *testing.T) {
	dir := t.TempDir()
	var values []Value
	var source strings.Builder
	source.WriteString("list(\n")
	for i := range 120 {
		v := genValue(3).Example(i)
		values = append(values, v)
		if i > 0 {
			source.WriteString(",\n")
		}
		source.WriteString(rsource(v))
		for j, f := range formats {
			b, err := Append(nil, v, f)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, fmt.Sprintf("%d-%d.rds", i+1, j)), b)
		}
		c := Compression(i % 4)
		if err := WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%v.rds", i+1, c)), v, c); err != nil {
			t.Fatal(err)
		}
	}
	source.WriteString("\n)\n")
	writeFile(t, filepath.Join(dir, "values.R"), []byte(source.String()))

	if out := rscript(t, "generated.R", dir); out != "" {
		t.Errorf("R read something else:\n%s", out)
	}
	for i, v := range values {
		for _, form := range []string{"2x", "2b", "3x", "3b"} {
			name := fmt.Sprintf("r%d-%s.bin", i+1, form)
			got, err := ReadFile(filepath.Join(dir, name), nil)
			if err != nil {
				t.Error(err)
			} else if diff := cmp.Diff(v, got, equal); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestCatalogueWithR(t *testing.T) {
	dir := t.TempDir()
	rscript(t, "write.R", "testdata", dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		v, err := ReadFile(path, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		name, _, _ := strings.Cut(e.Name(), ".")
		if want, ok := inGo[name]; ok {
			if diff := cmp.Diff(want, v, equal); diff != "" {
				t.Errorf("%s (-want +got):\n%s", e.Name(), diff)
			}
		}
		for i, f := range formats {
			b, err := Append(nil, v, f)
			if err != nil {
				t.Error(e.Name(), err)
				continue
			}
			writeFile(t, fmt.Sprintf("%s.%d.go", path, i), b)
			written++
		}
	}
	want := fmt.Sprintf("checked %d \n", written)
	if got := rscript(t, "check.R", "testdata", dir); got != want || written < 400 {
		t.Errorf("R says:\n%s\nwant %s", got, want)
	}
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}
