package rvalue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rpipe-dev/rpipe/rdata"
)

// rscript runs a script of testdata and returns what it printed.
func rscript(t *testing.T, script string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "Rscript", append([]string{"--vanilla", filepath.Join("testdata", script)}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Rscript %s: %v (R with jsonlite, data.table and tibble must be installed)\n%s%s", script, err, out, stderr.String())
	}
	return string(out)
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestFromJSONAsJsonliteDoes compares documents with jsonlite::fromJSON().
func TestFromJSONAsJsonliteDoes(t *testing.T) {
	dir := t.TempDir()
	docs := append([]string{}, documents...)
	for i := range 400 {
		docs = append(docs, genJSON(3).Example(i))
	}
	for i, doc := range docs {
		b, err := FromJSON([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		write(t, filepath.Join(dir, fmt.Sprintf("%d.json", i)), []byte(doc))
		write(t, filepath.Join(dir, fmt.Sprintf("%d.rds", i)), b)
	}
	if got, want := rscript(t, "fromjson.R", dir), fmt.Sprintf("checked %d \n", len(docs)); got != want {
		t.Errorf("R says:\n%s\nwant %s", got, want)
	}
}

var forms = []string{"2x", "2b", "3x", "3b", "gzip", "bzip2", "xz"}

// TestValuesOfR shows and cuts what R wrote, in every form, and has R compare.
func TestValuesOfR(t *testing.T) {
	dir := t.TempDir()
	rscript(t, "write.R", "testdata", dir)
	wanted, err := filepath.Glob(filepath.Join(dir, "*.want"))
	if err != nil || len(wanted) < 30 {
		t.Fatal(wanted, err)
	}
	split, rows, normal := 0, 0, 0
	for _, path := range wanted {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		path = strings.TrimSuffix(path, "want")
		name := filepath.Base(path)
		for _, form := range forms {
			stream, err := os.ReadFile(path + form)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(name+form, func(t *testing.T) {
				shows(t, name, stream, want)
				n, err := Normalize(stream)
				if err != nil || !bytes.HasPrefix(n, rdata.AppendHeader(nil)[:6]) {
					t.Fatalf("Normalize: %x…, %v", n[:6], err)
				}
				write(t, path+form+".normal", n)
				normal++
				if parts, names, err := Split(stream, 1<<20); err == nil {
					write(t, path+form+".split", join(t, parts, names))
					split++
				} else if !strings.Contains(err.Error(), "was expected") {
					t.Errorf("Split: %v", err)
				}
				if parts, names, err := Rows(stream, 1<<20); err == nil {
					write(t, path+form+".rows", join(t, parts, names))
					rows++
				} else if !strings.Contains(err.Error(), "a data.frame was expected") {
					t.Errorf("Rows: %v", err)
				}
			})
		}
	}
	splitsMany(t, dir)
	if got, want := rscript(t, "cut.R", "testdata", dir), fmt.Sprintf("checked %d %d %d \n", split, rows, normal); got != want {
		t.Errorf("R says:\n%s\nwant %s", got, want)
	}
}

func join(t *testing.T, parts [][]byte, names []string) []byte {
	t.Helper()
	for i, p := range parts {
		if !bytes.HasPrefix(p, rdata.AppendHeader(nil)) {
			t.Fatalf("part %d begins with %x", i+1, p[:min(len(p), 14)])
		}
	}
	b, err := Join(parts, names)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// differs says for what values another JSON than jsonlite's is meant, and which; "" is any.
var differs = map[string]string{
	"null.":       `null`, // jsonlite: {}
	"double.":     `[1.5,null,"NaN","Inf","-Inf",1e+300,0.30000000000000004,123456789012,1e-07]`,
	"wrapped.":    `[1,2,3]`,
	"pairlist.":   `{"a":1,"2":2}`,
	"empty.":      `[[],[],[],[],[]]`,
	"date_na.":    `null`,
	"complex.":    `["1+2i","-1.5-1i"]`, // jsonlite: an error, as for those below
	"difftime.":   `[1,2.5]`,
	"expression.": `[{"class":"call","text":"not representable"},{"class":"call","text":"not representable"},"z"]`,
	"opaque.": `{"f":{"class":"function","text":"not representable"},"g":{"class":"function","text":"not representable"},` +
		`"e":{"class":"environment","text":"not representable"},"call":{"class":"call","text":"not representable"},` +
		`"s4":{"class":"S4","text":"not representable"},"formula":{"class":"formula","text":"not representable"}}`,
	"shared.": ``,
	"model.":  ``,
}

// shows compares ToJSON with jsonlite::toJSON().
func shows(t *testing.T, name string, stream, want []byte) {
	t.Helper()
	got, err := ToJSON(stream, []byte("before "))
	if err != nil {
		t.Errorf("ToJSON: %v", err)
		return
	}
	got, ok := bytes.CutPrefix(got, []byte("before "))
	if !ok || !json.Valid(got) {
		t.Fatalf("not JSON: %s", got)
	}
	if other, ok := differs[name]; ok {
		if other != "" && string(got) != other {
			t.Errorf("got %s\nwant %s", got, other)
		}
		return
	}
	var g, w any
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatal(err)
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-14*math.Abs(a) })
	if diff := cmp.Diff(w, g, near, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-jsonlite +rpipe):\n%s\n%s\n%s", diff, want, got)
	}
}

// splitsMany cuts a list whose elements refer to names that others brought along.
func splitsMany(t *testing.T, dir string) {
	t.Helper()
	for _, form := range forms {
		stream, err := os.ReadFile(filepath.Join(dir, "many."+form))
		if err != nil {
			t.Fatal(err)
		}
		parts, _, err := Split(stream, 1<<20)
		if err != nil || len(parts) != 20000 {
			t.Fatal(len(parts), err)
		}
		for _, i := range []int{0, 9, 10, 19999} {
			js, err := ToJSON(parts[i], nil)
			want := fmt.Sprint(i + 1)
			if i%10 == 9 {
				want = fmt.Sprintf("[%d,%d]", i+1, i+1)
			}
			if err != nil || string(js) != want {
				t.Errorf("%s: element %d is %s, %v", form, i+1, js, err)
			}
		}
	}
}
