//go:build unix && cgo

// Command compact measures the compaction of many small Parquet files: rpipe
// compact, and COPY of the same DuckDB that rpipe has in it, as whole processes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/bench"
)

var rpipe = flag.String("rpipe", "bin/rpipe", "the program to measure")

func main() {
	if len(os.Args) == 4 && os.Args[1] == copyWord {
		if err := copyFiles(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	bench.Main(run)
}

const rowsOfFile = 10_000

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-compact-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &measure{input: filepath.Join(dir, "in"), output: filepath.Join(dir, "out"), files: s.Pick(1000, 20)}
	if err := makeInput(m.input, m.files); err != nil {
		return err
	}
	ours := func(args ...string) tool {
		return tool{program, append([]string{"compact", m.input, "--to", m.output, "--progress", "none"}, args...)}
	}
	duckdb := func(order, settings string) tool {
		return tool{self, []string{copyWord, settings, fmt.Sprintf(
			"COPY (SELECT * FROM read_parquet('%s/*.parquet')%s) TO '%s' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)",
			m.input, order, m.output+".parquet")}}
	}
	if err := m.compare(s, fmt.Sprintf("%d files of %d rows, snappy, to zstd", m.files, rowsOfFile),
		side{"rpipe compact", ours()}, side{"DuckDB COPY", duckdb("", "")}); err != nil {
		return err
	}
	return m.compare(s, "The same, sorted by a column of 100,000 values",
		side{"rpipe compact --sort user", ours("--sort", "user")},
		side{"DuckDB COPY … ORDER BY user", duckdb(" ORDER BY \"user\"", "")},
		side{"DuckDB COPY … ORDER BY user, memory_limit 512 MB", duckdb(" ORDER BY \"user\"", "SET memory_limit = '512MB'")})
}

// tool is a program with its arguments.
type tool struct {
	program string
	args    []string
}

type side struct {
	name string
	tool
}

type measure struct {
	input, output string
	files         int
}

// compare measures time and memory of the same runs.
func (m *measure) compare(s bench.Setting, title string, sides ...side) error {
	var times, cpus, peaks, sizes []*bench.Side
	for _, side := range sides {
		var last bench.Process
		var size float64
		times = append(times, &bench.Side{Name: side.name, Run: func() (float64, error) {
			if err := m.clear(); err != nil {
				return 0, err
			}
			var err error
			if last, err = bench.Execute(side.program, side.args...); err != nil {
				return 0, err
			}
			size, err = m.check()
			return last.Took.Seconds(), err
		}})
		cpus = append(cpus, &bench.Side{Name: side.name, Run: func() (float64, error) { return last.CPU.Seconds(), nil }})
		peaks = append(peaks, &bench.Side{Name: side.name, Run: func() (float64, error) { return last.Peak, nil }})
		sizes = append(sizes, &bench.Side{Name: side.name, Run: func() (float64, error) { return size, nil }})
		n := len(times) - 1
		times[n].Then = []*bench.Side{cpus[n], peaks[n], sizes[n]}
	}
	if err := bench.Compare(s, times...); err != nil {
		return err
	}
	bench.Print(title+": time", bench.Seconds, times[0], times[1:]...)
	bench.Print("CPU time of all cores", bench.Seconds, cpus[0], cpus[1:]...)
	bench.Print("Peak memory of the process", bench.Megabytes, peaks[0], peaks[1:]...)
	bench.Print("Size of the result", bench.Megabytes, sizes[0], sizes[1:]...)
	return nil
}

// clear removes what the run before has written.
func (m *measure) clear() error {
	if err := os.RemoveAll(m.output); err != nil {
		return err
	}
	return os.RemoveAll(m.output + ".parquet")
}
