//go:build unix

// Command files measures CSV, NDJSON and Parquet files through filter to
// Parquet: rpipe run, DuckDB and pyarrow, as whole processes.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/rpipe-dev/rpipe/bench"
)

var (
	//go:embed duckdb_peer.py
	duckdbScript string
	//go:embed arrow_peer.py
	arrowScript string

	rpipe  = flag.String("rpipe", "bin/rpipe", "the program to measure")
	python = flag.String("python", "python3", "a Python that has duckdb and pyarrow")
)

func main() { bench.Main(run) }

func run(s bench.Setting) error {
	binary, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tools, err := tools(dir, binary)
	if err != nil {
		return err
	}
	rows := s.Pick(5_000_000, 100_000)
	for _, format := range []string{"csv", "ndjson", "parquet"} {
		if err := compare(s, dir, tools, format, rows); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

// compare measures the time at rows, and the memory at rows and at a tenth.
func compare(s bench.Setting, dir string, tools []tool, format string, rows int) error {
	inputs := map[int]string{}
	for _, n := range []int{rows, rows / 10} {
		path, err := makeInput(dir, tools[0].program, format, n)
		if err != nil {
			return err
		}
		defer os.Remove(path)
		inputs[n] = path
	}
	var speed, large, small []*bench.Side
	for _, t := range tools {
		peak := 0.0
		speed = append(speed, &bench.Side{Name: t.name, Run: func() (float64, error) {
			p, err := t.run(dir, format, inputs[rows])
			peak = p.Peak
			return float64(rows) / p.Took.Seconds(), err
		}})
		large = append(large, &bench.Side{Name: t.name, Run: func() (float64, error) { return peak, nil }})
		small = append(small, &bench.Side{Name: t.name, Run: func() (float64, error) {
			p, err := t.run(dir, format, inputs[rows/10])
			return p.Peak, err
		}})
	}
	if err := bench.Compare(s, slices.Concat(speed, large, small)...); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%s, %d rows, to Parquet", format, rows), bench.Rows, speed[0], speed[1:]...)
	return printMemory(dir, tools, format, inputs[rows], rows, small, large)
}

// printMemory writes the peaks, and rpipe's for the file ten times over, too.
func printMemory(dir string, tools []tool, format, input string, rows int, small, large []*bench.Side) error {
	ten := filepath.Join(dir, "ten")
	if err := os.Mkdir(ten, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(ten)
	for i := range 10 {
		if err := os.Link(input, filepath.Join(ten, fmt.Sprintf("%d.%s", i, format))); err != nil {
			return err
		}
	}
	huge, err := tools[0].run(dir, format, ten)
	if err != nil {
		return err
	}
	fmt.Printf("| peak memory, MB | %d rows | %d rows | growth | %d rows | growth |\n| --- | ---: | ---: | ---: | ---: | ---: |\n", rows/10, rows, 10*rows)
	for i, t := range tools {
		more := " | |"
		if i == 0 {
			more = fmt.Sprintf(" %.0f | %.2f times |", huge.Peak/1e6, huge.Peak/large[i].Median())
		}
		fmt.Printf("| %s | %.0f | %.0f | %.2f times |%s\n", t.name, small[i].Median()/1e6, large[i].Median()/1e6, large[i].Over(small[i]), more)
	}
	fmt.Println()
	return nil
}

// tool is a program that filters a file.
type tool struct {
	name    string
	program string
	args    func(format, input, output string) ([]string, error)
}

// tools are rpipe and the peers that are installed.
func tools(dir, rpipe string) ([]tool, error) {
	found := []tool{{name: "rpipe run", program: rpipe, args: func(format, input, output string) ([]string, error) {
		path, err := pipeline(dir, format, input, output)
		return []string{"run", "--progress", "none", path}, err
	}}}
	for _, p := range []struct{ name, script string }{{"duckdb", duckdbScript}, {"pyarrow", arrowScript}} {
		version, err := versionOf(p.name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s is left out: %v\n", p.name, err)
			continue
		}
		path := filepath.Join(dir, p.name+"_peer.py")
		if err := os.WriteFile(path, []byte(p.script), 0o644); err != nil {
			return nil, err
		}
		found = append(found, tool{name: p.name + " " + version, program: *python, args: func(format, input, output string) ([]string, error) {
			return []string{path, format, input, output, condition}, nil
		}})
	}
	return found, nil
}

// run filters input once, and removes the output.
func (t *tool) run(dir, format, input string) (bench.Process, error) {
	output := filepath.Join(dir, "out.parquet")
	args, err := t.args(format, input, output)
	if err != nil {
		return bench.Process{}, err
	}
	p, err := bench.Execute(t.program, args...)
	if err != nil {
		return bench.Process{}, err
	}
	if info, err := os.Stat(output); err != nil || info.Size() == 0 {
		return bench.Process{}, errors.Join(errors.New("nothing was written"), err)
	}
	return p, os.RemoveAll(output)
}
