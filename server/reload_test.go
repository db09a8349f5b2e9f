package server

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReloadSaysOfEachKeyWhatItDoes: docs/operations.md has a row for each key, which says
// what code does.
func TestReloadSaysOfEachKeyWhatItDoes(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "### What a reload changes")
	table, _, _ = strings.Cut(table, "\n##")
	var live []string
	for _, r := range new(Server).renewals() {
		live = append(live, r.key)
	}
	for _, key := range keysOf(Defaults()) {
		i := strings.Index(table, "`"+key+"`")
		if i < 0 {
			t.Errorf("the table of what a reload changes has nothing of %s", key)
			continue
		}
		row := table[strings.LastIndex(table[:i], "\n")+1:]
		row, _, _ = strings.Cut(row, "\n")
		if restart := strings.Contains(row, "a restart"); restart == slices.Contains(live, key) {
			t.Errorf("of %s the table says: %s", key, row)
		}
	}
}
