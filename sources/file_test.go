package sources

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The journal names the version of a file that was found: another content under
// its name must not be read in its place.
func TestAFileThatIsReplacedBeforeItIsOpened(t *testing.T) {
	f := func(what string, change func(path string) error) {
		t.Helper()
		env := files(t, "a.csv", "x\n1\n", "b.csv", "x\n1\n")
		r, err := csvOf(CSV{Path: Paths{"*.csv"}}).Open(t.Context(), env, "")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := change(filepath.Join(env.Dir, "b.csv")); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next(t.Context())
		}
		if err == io.EOF || !strings.Contains(err.Error(), "read b.csv: it was replaced or changed since the run began") {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("longer", func(path string) error { return os.WriteFile(path, []byte("x\n1\n2\n"), 0o644) })
	f("as long", func(path string) error {
		later := time.Now().Add(time.Hour)
		if err := os.WriteFile(path, []byte("x\n2\n"), 0o644); err != nil {
			return err
		}
		return os.Chtimes(path, later, later)
	})
}
