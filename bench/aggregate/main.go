//go:build unix && cgo

// Command aggregate measures groups and joins over ten million rows of Parquet:
// rpipe run, and DuckDB alone on the same files, as whole processes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/bench"
)

var rpipe = flag.String("rpipe", "bin/rpipe", "the program to measure")

func main() {
	if len(os.Args) == 3 && os.Args[1] == queryWord {
		if err := query(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	bench.Main(run)
}

func run(s bench.Setting) error {
	binary, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-aggregate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &machine{dir: dir, rpipe: binary, self: self, rows: s.Pick(10_000_000, 100_000), dataset: s.Pick(1_000_000, 10_000)}
	if err := m.makeInput(); err != nil {
		return err
	}
	for _, c := range m.contests() {
		if err := m.compare(s, c); err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
	}
	return nil
}

// contest is one thing that both sides do with the same files.
type contest struct {
	title   string
	columns string // that rpipe is told to read; DuckDB finds them out
	stages  string // of the pipeline
	sql     string // the same
}

type machine struct {
	dir, rpipe, self string
	rows, dataset    int
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// makeInput writes the rows (three columns of groups, two numbers, a text, and a
// key, one in six of which the dataset does not have) and the dataset.
func (m *machine) makeInput() error {
	rows := fmt.Sprintf(`
  - derive:
      g10: "hash(id) %% 10"
      g10k: "CAST(hash(id + 1) %% 10000 AS BIGINT)"
      g1m: "CAST(hash(id + 2) %% 1000000 AS BIGINT)"
      key: "CAST(hash(id + 3) %% %d AS BIGINT)"
      x: "(hash(id + 4) %% 2000000) / 1000 - 1000"
      n: "CAST(hash(id + 5) %% 100 AS INTEGER)"
      lang: "'language-' || (hash(id + 6) %% 50)"`, m.dataset*6/5)
	if err := m.make("rows.parquet", m.rows, "id", rows); err != nil {
		return err
	}
	return m.make("dataset.parquet", m.dataset, "key", `
  - derive:
      name: "printf('name-%08d', key)"
      weight: "(hash(key) % 1000) / 10"`)
}

func (m *machine) make(file string, rows int, column, stages string) error {
	return m.runPipeline(fmt.Sprintf("range: {rows: %d, column: %s}", rows, column), stages, m.path(file))
}

// runPipeline runs rpipe over a source and stages.
func (m *machine) runPipeline(source, stages, output string) error {
	_, err := m.execute(source, stages, output)
	return err
}

func (m *machine) execute(source, stages, output string) (bench.Process, error) {
	yaml := fmt.Sprintf("version: 1\nsource: {%s}\nstages:%s\nsink: {parquet: {path: %s, if_exists: replace}}\n", source, stages, output)
	path := m.path("pipeline.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o644); err != nil {
		return bench.Process{}, err
	}
	return bench.Execute(m.rpipe, "run", "--progress", "none", path)
}

func (m *machine) contests() []contest {
	const measures = `rows: count(*), total: sum(n), mean: avg(x), top: max(x)`
	const list = "count(*) AS rows, CAST(sum(n) AS BIGINT) AS total, avg(x) AS mean, max(x) AS top"
	var all []contest
	for _, g := range []struct{ column, title string }{{"g10", "10"}, {"g10k", "10,000"}, {"g1m", "1 million"}} {
		all = append(all, contest{
			title:   g.title + " groups: count, sum, avg, max",
			columns: g.column + ", n, x",
			stages:  fmt.Sprintf("\n  - aggregate: {by: [%s], measures: {%s}}", g.column, measures),
			sql:     fmt.Sprintf("SELECT %s, %s FROM read_parquet('%s') GROUP BY 1 ORDER BY 1", g.column, list, m.path("rows.parquet")),
		})
	}
	return append(all, contest{
		title:   fmt.Sprintf("a left join with %d rows, and a sum of it", m.dataset),
		columns: "key",
		stages:  fmt.Sprintf("\n  - join: {dataset: %s, on: [key], how: left}\n  - aggregate: {measures: {rows: count(*), found: count(name), weight: sum(weight)}}", m.path("dataset.parquet")),
		sql: fmt.Sprintf("SELECT count(*) AS rows, count(d.name) AS found, sum(d.weight) AS weight FROM read_parquet('%s') AS r LEFT JOIN read_parquet('%s') AS d USING (key)",
			m.path("rows.parquet"), m.path("dataset.parquet")),
	})
}

// compare measures rows a second and the peak of memory.
func (m *machine) compare(s bench.Setting, c contest) error {
	var peaks [2]float64
	side := func(i int, name string, run func() (bench.Process, error)) *bench.Side {
		return &bench.Side{Name: name, Run: func() (float64, error) {
			p, err := run()
			peaks[i] = max(peaks[i], p.Peak)
			return float64(m.rows) / p.Took.Seconds(), err
		}}
	}
	ours := side(0, "rpipe run", func() (bench.Process, error) {
		return m.execute(fmt.Sprintf("parquet: {path: %s, columns: [%s]}", m.path("rows.parquet"), c.columns), c.stages, m.path("ours.parquet"))
	})
	theirs := side(1, "DuckDB", func() (bench.Process, error) {
		statement := fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, COMPRESSION zstd)", c.sql, m.path("theirs.parquet"))
		return bench.Execute(m.self, queryWord, statement)
	})
	if err := bench.Compare(s, ours, theirs); err != nil {
		return err
	}
	if err := m.agree(); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%s, %d rows", c.title, m.rows), bench.Rows, ours, theirs)
	fmt.Printf("Peak memory: rpipe %.0f MB, DuckDB %.0f MB.\n\n", peaks[0]/1e6, peaks[1]/1e6)
	return nil
}

// agree checks that both have written the same: counts exactly, sums of doubles
// to what the order of addition leaves.
func (m *machine) agree() error {
	differs := strings.ReplaceAll(`SELECT if(
	(SELECT count(*) FROM ours) <> (SELECT count(*) FROM theirs) OR (SELECT sum(rows) FROM ours) <> (SELECT sum(rows) FROM theirs)
	OR (SELECT count(*) FROM (SELECT COLUMNS(c -> c NOT IN ('mean', 'weight')) FROM ours EXCEPT SELECT COLUMNS(c -> c NOT IN ('mean', 'weight')) FROM theirs)) > 0,
	error('the results differ'), 1)`, "ours", "read_parquet('"+m.path("ours.parquet")+"')")
	return query(strings.ReplaceAll(differs, "theirs", "read_parquet('"+m.path("theirs.parquet")+"')"))
}
