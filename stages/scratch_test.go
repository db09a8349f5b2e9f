//go:build unix

package stages

import (
	"os"
	"path/filepath"
	"testing"
)

func TestScratchOfTheDeadGoesAndOfTheLivingStays(t *testing.T) {
	dir := t.TempDir()
	dead, alive := filepath.Join(dir, "run-dead"), filepath.Join(dir, "run-alive")
	if err := os.MkdirAll(filepath.Join(dead, "sql"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := (&Env{Temp: alive}).For("x")
	if path, err := env.TempDir(); path != alive || err != nil {
		t.Fatal(path, err)
	}
	ClearScratch(filepath.Join(dir, "run-*"))
	if _, err := os.Stat(dead); err == nil {
		t.Error("what a dead process left is still there")
	}
	if _, err := os.Stat(alive); err != nil {
		t.Error(err)
	}
	env.Close()
	ClearScratch(filepath.Join(dir, "run-*"))
	if _, err := os.Stat(alive); err == nil {
		t.Error("a closed run holds its directory")
	}
}
