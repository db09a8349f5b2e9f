package repo

import (
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPackageComments: one file of a package says what it is for.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	for _, name := range files(t, isGo) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		comments[dir] = append(comments[dir], nil...)
		if f.Doc != nil {
			comments[dir] = append(comments[dir], path.Base(name))
			start := "Package " + f.Name.Name + " "
			if f.Name.Name == "main" {
				start = "Command " + path.Base(dir) + " "
			}
			if !strings.HasPrefix(f.Doc.Text(), start) {
				t.Errorf("%s: the package comment does not begin with %q", name, start)
			}
		}
	}
	for dir, in := range comments {
		if len(in) != 1 {
			t.Errorf("package %s has %d package comments, want 1: %v", dir, len(in), in)
		}
	}
}

// TestFileLength: a file is one idea.
func TestFileLength(t *testing.T) {
	source := func(name string) bool {
		return slices.Contains([]string{".go", ".R", ".sh", ".md", ".yaml", ".txtar"}, path.Ext(name))
	}
	for _, name := range files(t, source) {
		most := 700
		switch {
		case isGo(name) && !strings.HasSuffix(name, "_test.go"):
			most = 500
		case name == "docs/reference.md" || name == "docs/rest.md" || name == "docs/rest-documents.md":
			most = 2000 // generated, a table for each block: it is looked up and searched, not read
		}
		if n := strings.Count(read(t, name), "\n"); n > most {
			t.Errorf("%s has %d lines, over %d: divide it by its ideas", name, n, most)
		}
	}
}

// TestPackageNames: a name says what is inside.
func TestPackageNames(t *testing.T) {
	forbidden := []string{"util", "utils", "common", "helper", "helpers", "types", "models", "manager", "misc", "base"}
	for _, name := range files(t, isGo) {
		if dir := path.Base(path.Dir(name)); slices.Contains(forbidden, dir) {
			t.Errorf("%s: %q is no name for a package", name, dir)
		}
	}
}

// TestGoMod: others can depend on the module as it is.
func TestGoMod(t *testing.T) {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), `"Path": "`+module+`"`) {
		t.Errorf("go.mod is not that of %s", module)
	}
	if strings.Contains(string(out), `"Replace": [`) {
		t.Error("go.mod has a replace directive")
	}
}

func isGo(name string) bool { return path.Ext(name) == ".go" }
