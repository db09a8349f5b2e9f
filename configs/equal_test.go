package configs

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	second = time.Second
	minute = time.Minute
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares a text with a file, which -update rewrites.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-update rewrites it):\n%s", path, diff)
	}
}

// cmpDiff compares values whatever their places in the file.
func cmpDiff(want, got any) string {
	return cmp.Diff(want, got,
		cmp.Comparer(func(a, b Secret) bool { return a == b }),
		cmpopts.IgnoreTypes(Position{}),
		cmpopts.IgnoreUnexported(pipelineFile{}),
		cmpopts.EquateEmpty(),
	)
}
