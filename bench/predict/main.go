//go:build unix

// Command predict measures predict() of a model for clients who each ask for one
// row at a time: put together into batches, one call of R for each, and as a
// plumber endpoint.
package main

import (
	"embed"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/bench/fronts"
)

var rpipe = flag.String("rpipe", "bin/rpipe", "the program to measure")

//go:embed model.R plumber.R proxy.yaml
var files embed.FS

const row = `[{"wt": 2.62, "hp": 110, "qsec": 16.46}]`

func main() { bench.Main(run) }

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-predict-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	server, err := fronts.Configured(program, dir)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Ready("/ready"); err != nil {
		return err
	}
	alone, err := fronts.Plumber(fronts.API{Dir: dir})
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := alone.Ready("/ready"); err != nil {
		return err
	}
	for _, connections := range []int{1, 8, 64} {
		if err := compare(s, connections, server, alone); err != nil {
			return err
		}
	}
	return nil
}

func compare(s bench.Setting, connections int, server, alone *fronts.Server) error {
	period := time.Duration(s.Pick(3000, 200)) * time.Millisecond
	side := func(name string, from *fronts.Server, path string) (*bench.Side, error) {
		want, err := ask(from.Addr, path)
		load := fronts.Load{Addr: from.Addr, Path: path, Body: row, Want: want, Connections: connections, Period: period}
		return &bench.Side{Name: name, Run: load.Rate}, err
	}
	var sides []*bench.Side
	for _, c := range []struct {
		name, path string
		from       *fronts.Server
		bar        bool
	}{
		{"rpipe, rows of all requests together", "/together", server, false},
		{"rpipe, one call of R for each request", "/apart", server, true},
		{"the same as a plumber endpoint, through rpipe", "/plain", server, false},
		{"the same, plumber alone, one process", "/plain", alone, false},
	} {
		one, err := side(c.name, c.from, c.path)
		if err != nil {
			return err
		}
		if c.bar && connections == 64 {
			one.Bar = "≥ 10"
		}
		sides = append(sides, one)
	}
	if err := bench.Compare(s, sides...); err != nil {
		return err
	}
	title := "One connection"
	if connections > 1 {
		title = fmt.Sprintf("%d connections", connections)
	}
	bench.Print(title, bench.PerSecond, sides[0], sides[1:]...)
	return nil
}

// ask is the answer that each request must have.
func ask(addr, path string) (string, error) {
	answer, err := http.Post("http://"+addr+path, "application/json", strings.NewReader(row))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || !strings.Contains(string(body), `"mpg":22`)) {
		err = fmt.Errorf("POST %s: status %d, %s", path, answer.StatusCode, body)
	}
	return string(body), err
}
