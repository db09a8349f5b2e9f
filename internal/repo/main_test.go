package repo

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/program"
)

var update = flag.Bool("update", false, "write the generated pages of docs again")

// root is the top of the repository, as seen from this package.
const root = "../.."

// module is the import path of the top.
const module = "github.com/rpipe-dev/rpipe"

func TestMain(m *testing.M) {
	flag.Parse()
	program.Main(m)
}

// files are the paths below root that hold for want, slash-separated. What is
// built, hidden or test data is left out.
func files(t *testing.T, want func(path string) bool) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, _ = filepath.Rel(root, path)
		path = filepath.ToSlash(path)
		if e.IsDir() {
			name := e.Name()
			if path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || path == "bin" || path == "out") {
				return fs.SkipDir
			}
			return nil
		}
		if want(path) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no files found: is this the repository?")
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
