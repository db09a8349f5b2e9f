//go:build unix

// Command commit measures what exactly-once output costs: rpipe run with epochs
// on record, and with commit: none, as whole processes over the same rows.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/bench"
)

var rpipe = flag.String("rpipe", "bin/rpipe", "the program to measure")

func main() { bench.Main(run) }

// The pipelines; %d is how many rows.
const (
	filtered = `version: 1
source: {range: {from: 1, to: %d, column: id}}
stages:
  - derive: {x: "id * 1.5", k: "id %% 1000", day: "id %% 8"}
  - filter: "id %% 10 <> 0"
sink: {parquet: {path: out, partition_by: [day], if_exists: replace}}
`
	scored = `version: 1
r: {setup: "score <- function(d) { d$y <- sqrt(d$id) + rnorm(nrow(d)); d }"}
source: {range: {from: 1, to: %d, column: id}}
stages:
  - map: {fun: score, rows: same}
sink: {parquet: {path: out, if_exists: replace}}
`
	grouped = `version: 1
source: {range: {from: 1, to: %d, column: id}}
stages:
  - derive: {x: "id * 1.5", k: "id %% 10000"}
  - aggregate: {by: [k], measures: {n: "count(*)", x: "sum(x)"}}
sink: {parquet: {path: out, if_exists: replace}}
`
)

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-commit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, p := range []struct {
		name, yaml string
		rows       int
		bar        string
	}{
		{"derive and filter, eight partitions", filtered, s.Pick(20_000_000, 200_000), "≤ 1.05"},
		{"an R map", scored, s.Pick(40_000_000, 200_000), "≤ 1.05"},
		{"an aggregate, whose input is spooled", grouped, s.Pick(20_000_000, 200_000), ""},
	} {
		side := func(name, bar, commit string) *bench.Side {
			file := filepath.Join(dir, commit+".yaml")
			text := fmt.Sprintf(p.yaml, p.rows) + map[string]string{
				"minute": "commit: exactly_once\n", "second": "commit: {mode: exactly_once, every: 1s}\n", "none": "commit: none\n",
			}[commit]
			var last bench.Process
			cpu := &bench.Side{Name: name, Run: func() (float64, error) { return last.CPU.Seconds(), nil }}
			return &bench.Side{Name: name, Bar: bar, Then: []*bench.Side{cpu}, Run: func() (v float64, err error) {
				// Each run writes from nothing: what is there is not what is measured.
				if err := os.RemoveAll(filepath.Join(dir, "out")); err != nil {
					return 0, err
				}
				if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
					return 0, err
				}
				last, err = bench.Execute(program, "run", file, "--progress", "none")
				return last.Took.Seconds(), err
			}}
		}
		second := side("an epoch a second", "", "second")
		minute := side("an epoch a minute (the default)", "", "minute")
		none := side("`commit: none`", p.bar, "none")
		if err := bench.Compare(s, second, minute, none); err != nil {
			return err
		}
		bench.Print(fmt.Sprintf("%.3g million rows through %s", float64(p.rows)/1e6, p.name), bench.Seconds, second, minute, none)
		more := func(side *bench.Side) string {
			return fmt.Sprintf("%+.1f %% (of processor time %+.1f %%)", 100*(side.Over(none)-1), 100*(side.Then[0].Over(none.Then[0])-1))
		}
		fmt.Printf("More than `commit: none`: %s with an epoch a second, %s with an epoch a minute.\n\n", more(second), more(minute))
	}
	return nil
}
