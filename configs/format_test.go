package configs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each file of testdata/lint is wrong in several ways; beside it stands what a
// user is shown.
func TestLint(t *testing.T) {
	files, err := filepath.Glob("testdata/lint/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := Load(filepath.Base(file), data, environment(nil), new(pipelineFile))
			var out bytes.Buffer
			if err := problems.Format(&out, false); err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", out.Bytes())
		})
	}
}

func TestFormat(t *testing.T) {
	f := func(text string, at Position, want string) {
		t.Helper()
		p := newSource("p.yaml", []byte(text)).problem(at, "", "wrong", "")
		var out bytes.Buffer
		Problems{p}.Format(&out, false)
		if got := out.String(); got != want {
			t.Errorf("%q at %v\n got:\n%s\nwant:\n%s", text, at, got, want)
		}
	}
	f("a: 1", Position{1, 4}, "p.yaml:1:4: wrong\n    1 | a: 1\n      |    ^\n")
	f("a: 1", Position{1, 5}, "p.yaml:1:5: wrong\n    1 | a: 1\n      |     ^\n") // the end of the line
	f("é: ü", Position{1, 4}, "p.yaml:1:4: wrong\n    1 | é: ü\n      |    ^\n")
	f("a:\tx", Position{1, 4}, "p.yaml:1:4: wrong\n    1 | a: x\n      |    ^\n")
	f("a: \x1b[31m\x07", Position{1, 4}, "p.yaml:1:4: wrong\n    1 | a: ·[31m·\n      |    ^\n")
	f("a: \xff", Position{1, 4}, "p.yaml:1:4: wrong\n    1 | a: \ufffd\n      |    ^\n")
	f("a", Position{9, 4}, "p.yaml:1:4: wrong\n    1 | a\n      |  ^\n") // past the end
	f("a", Position{}, "p.yaml: wrong\n")
	long := strings.Repeat("x", 300)
	f(long, Position{1, 4}, "p.yaml:1:4: wrong\n    1 | "+long[:100]+"…\n      |    ^\n")
	f(long, Position{1, 200}, "p.yaml:1:200: wrong\n    1 | …"+long[:99]+"…\n      | "+strings.Repeat(" ", 50)+"^\n")
	f(long+"yz", Position{1, 302}, "p.yaml:1:302: wrong\n    1 | …"+strings.Repeat("x", 48)+"yz\n      | "+strings.Repeat(" ", 50)+"^\n")
}

func TestFormatInColor(t *testing.T) {
	_, problems := read("version: 1\nsource: {rows: }\nr: {workers: {max: 200}, x: 1}\n")
	var out bytes.Buffer
	problems.Format(&out, true)
	for _, want := range []string{
		bold + "p.yaml:3:26: " + plain + red + "r.x: unknown key" + plain,
		bold + "p.yaml:3:20: " + plain + yellow + "warning: r.workers.max: is more than most machines bear" + plain,
		red + "^" + plain,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

func TestFormatReportsAWriterThatFails(t *testing.T) {
	_, problems := read("version: 2\nsource: {rows: }\nnmae: x\n")
	if err := problems.Format(fullDisk{}, false); err == nil {
		t.Error("no error")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestProblemsAsErrors(t *testing.T) {
	_, problems := read("version: 2\nsource: {rows: }\nr: {workers: {max: 200}}\n")
	if len(problems.Errors()) != 1 || len(problems.Warnings()) != 1 {
		t.Fatal(problems)
	}
	found, ok := As(fmt.Errorf("load: %w", problems.Err()))
	if !ok || len(found) != 1 || found[0].Path != "version" {
		t.Errorf("%v %v", found, ok)
	}
	if err := problems.Warnings().Err(); err != nil {
		t.Errorf("warnings are an error: %v", err)
	}
	if _, ok := As(errors.New("other")); ok {
		t.Error("problems found in another error")
	}
}

func TestProblemsAsJSON(t *testing.T) {
	_, problems := read("version: 1\nsource: {rows: }\nr: {workers: {max: 200}}\nnmae: x\n")
	got, err := json.Marshal(problems)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"file":"p.yaml","line":3,"column":20,"path":"r.workers.max","message":"is more than most machines bear","warning":true},` +
		`{"file":"p.yaml","line":4,"column":1,"path":"nmae","message":"unknown key","hint":"did you mean name?"}]`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestSort(t *testing.T) {
	ps := Problems{{File: "b", Line: 1}, {File: "a"}, {File: "a", Line: 2, Column: 1}, {File: "a", Line: 1, Column: 9}, {File: "a", Line: 1, Column: 2}, {File: "a"}}
	ps.Sort()
	want := Problems{{File: "a", Line: 1, Column: 2}, {File: "a", Line: 1, Column: 9}, {File: "a", Line: 2, Column: 1}, {File: "a"}, {File: "b", Line: 1}}
	if fmt.Sprint(ps) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", ps, want)
	}
}
