//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/bench"
)

// condition keeps 45 % of the rows. It means the same in DuckDB and in filter.
const condition = "n < 50 AND x > -800"

// makeInput has rpipe write rows of a whole number, two doubles, an integer and
// two strings (50 different ones, all different) as format, and returns the file.
func makeInput(dir, rpipe, format string, rows int) (string, error) {
	file := filepath.Join(dir, fmt.Sprintf("%d.%s", rows, format))
	yaml := fmt.Sprintf(`version: 1
source:
  range: {rows: %d, column: id}
stages:
  - derive:
      x: "(hash(id) %% 2000000) / 1000 - 1000"
      y: "(hash(id + 1) %% 1000000) / 1000000"
      n: "CAST(hash(id + 2) %% 100 AS INTEGER)"
      lang: "'language-' || (hash(id + 3) %% 50)"
      user: "printf('user-%%012d', hash(id + 4) %% 1000000000000)"
sink:
  %s: {path: %s}
`, rows, format, file)
	path := filepath.Join(dir, "make.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o644); err != nil {
		return "", err
	}
	_, err := bench.Execute(rpipe, "run", "--progress", "none", path)
	return file, err
}

// pipeline is the file of the run that is measured.
func pipeline(dir, format, input, output string) (string, error) {
	path := filepath.Join(dir, format+".yaml")
	return path, os.WriteFile(path, fmt.Appendf(nil, `version: 1
source:
  %s: {path: %s}
stages:
  - filter: %q
sink:
  parquet: {path: %s, if_exists: replace}
`, format, input, condition, output), 0o644)
}
