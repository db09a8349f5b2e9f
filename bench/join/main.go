//go:build unix

// Command join measures a Parquet file joined with another, a million rows, to
// Parquet: rpipe run and DuckDB, as whole processes.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/bench"
)

var (
	//go:embed join_peer.py
	script string

	rpipe  = flag.String("rpipe", "bin/rpipe", "the program to measure")
	python = flag.String("python", "python3", "a Python that has duckdb")
)

func main() { bench.Main(run) }

// files are the inputs and the output of a join.
type files struct{ dir, rpipe, stream, dataset, out string }

func run(s bench.Setting) error {
	binary, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-join-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rows, size := s.Pick(10_000_000, 100_000), s.Pick(1_000_000, 10_000)
	f := &files{dir: dir, rpipe: binary, out: filepath.Join(dir, "out.parquet")}
	// Of the stream's keys, one in eleven is not in the dataset.
	if f.stream, err = f.make("stream", rows, fmt.Sprintf("hash(row) %% %d", size+size/10)); err != nil {
		return err
	}
	if f.dataset, err = f.make("dataset", size, "row - 1"); err != nil {
		return err
	}
	for _, c := range []struct{ title, kind, key string }{
		{"by a number, two columns added", "left", "id"},
		{"by a text, two columns added", "left", "code"},
		{"by a number, the rows that match", "semi", "id"},
	} {
		if err := f.compare(s, c.title, c.kind, c.key, rows, size); err != nil {
			return err
		}
	}
	return nil
}

// make has rpipe write rows of a key, as a number and as a text, a double and a
// text of fifty.
func (f *files) make(name string, rows int, id string) (string, error) {
	file := filepath.Join(f.dir, name+".parquet")
	err := f.pipeline("make.yaml", fmt.Sprintf(`version: 1
source:
  range: {rows: %d, column: row}
stages:
  - derive:
      id: "CAST(%s AS BIGINT)"
      code: "printf('code-%%08d', id)"
      x: "(hash(row + 1) %% 1000000) / 1000"
      name: "'name-' || (hash(row + 2) %% 50)"
  - select: [id, code, x, name]
sink:
  parquet: {path: %s}
`, rows, id, file))
	if err == nil {
		_, err = bench.Execute(f.rpipe, "run", "--progress", "none", filepath.Join(f.dir, "make.yaml"))
	}
	return file, err
}

// join is rpipe's side.
func (f *files) join(kind, key string) error {
	columns := ""
	if kind == "left" {
		columns = ", columns: [x, name], suffix: _d"
	}
	return f.pipeline("join.yaml", fmt.Sprintf(`version: 1
source:
  parquet: {path: %s}
stages:
  - join: {dataset: %s, on: %s, how: %s%s}
sink:
  parquet: {path: %s, if_exists: replace}
`, f.stream, f.dataset, key, kind, columns, f.out))
}

func (f *files) pipeline(name, yaml string) error {
	return os.WriteFile(filepath.Join(f.dir, name), []byte(yaml), 0o644)
}

// side is a program that joins.
type side struct {
	name    string
	program string
	args    []string
}

func (f *files) compare(s bench.Setting, title, kind, key string, rows, size int) error {
	if err := f.join(kind, key); err != nil {
		return err
	}
	peer := filepath.Join(f.dir, "join_peer.py")
	if err := os.WriteFile(peer, []byte(script), 0o644); err != nil {
		return err
	}
	sides := []side{{"rpipe run", f.rpipe, []string{"run", "--progress", "none", filepath.Join(f.dir, "join.yaml")}}}
	if version, err := exec.Command(*python, "-c", "import duckdb; print(duckdb.__version__)").Output(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: duckdb is left out: %s cannot import it\n", *python)
	} else {
		sides = append(sides, side{"duckdb " + strings.TrimSpace(string(version)), *python, []string{peer, kind, key, f.stream, f.dataset, f.out}})
	}
	var speed, cpu, peak []*bench.Side
	for _, d := range sides {
		var took bench.Process
		speed = append(speed, &bench.Side{Name: d.name, Run: func() (v float64, err error) {
			took, err = f.execute(d)
			return float64(rows) / took.Took.Seconds(), err
		}})
		cpu = append(cpu, &bench.Side{Name: d.name, Run: func() (float64, error) { return took.CPU.Seconds(), nil }})
		peak = append(peak, &bench.Side{Name: d.name, Run: func() (float64, error) { return took.Peak, nil }})
		last := len(speed) - 1
		speed[last].Then = []*bench.Side{cpu[last], peak[last]}
	}
	if err := bench.Compare(s, speed...); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%d rows with %d, %s", rows, size, title), bench.Rows, speed[0], speed[1:]...)
	var used []string
	for i, d := range sides {
		used = append(used, fmt.Sprintf("%s %.1f s and %.0f MB", d.name, cpu[i].Median(), peak[i].Median()/1e6))
	}
	fmt.Printf("Processor time of all cores and peak memory: %s.\n\n", strings.Join(used, ", "))
	return nil
}

// execute joins once, and removes the output.
func (f *files) execute(d side) (bench.Process, error) {
	p, err := bench.Execute(d.program, d.args...)
	if err != nil {
		return bench.Process{}, err
	}
	if info, err := os.Stat(f.out); err != nil || info.Size() == 0 {
		return bench.Process{}, errors.Join(errors.New("nothing was written"), err)
	}
	return p, os.Remove(f.out)
}
