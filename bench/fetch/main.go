//go:build unix

// Command fetch measures a request for each of many rows against a server that
// takes 50 ms for each: rpipe's fetch as a whole process, beside what in_flight /
// latency allows and beside loops that people write in R; and how well a rate is
// kept.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
)

var rpipe = flag.String("rpipe", "bin/rpipe", "the program to measure")

const (
	latency  = 50 * time.Millisecond
	inFlight = 64
	limit    = float64(inFlight) / 0.050 // requests a second that this allows
)

//go:embed loops.R
var loops string

func main() {
	if len(os.Args) == 6 && os.Args[1] == plainWord {
		var perSecond float64
		var burst, rows int
		_, err := fmt.Sscan(strings.Join(os.Args[3:], " "), &perSecond, &burst, &rows)
		if err == nil {
			err = plain(os.Args[2], perSecond, burst, rows)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	bench.Main(run)
}

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	server, err := bench.Serve(latency)
	if err != nil {
		return err
	}
	defer server.Close()
	dir, err := os.MkdirTemp("", "bench-fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &measure{program: program, server: server, dir: dir}
	if err := m.full(s, s.Pick(10_000, 640)); err != nil {
		return err
	}
	return m.rates(s)
}

type measure struct {
	program string
	server  *bench.Server
	dir     string
}

// fetch runs a pipeline of that many rows and returns what it took as a process.
func (m *measure) fetch(rows int, settings string) (time.Duration, error) {
	file := filepath.Join(m.dir, "pipeline.yaml")
	yaml := fmt.Sprintf(`version: 1
source:
  range: {from: 1, to: %d}
stages:
  - fetch:
      url: %s/items/{i}
      in_flight: %d
      %s
sink:
  csv: {path: %s, if_exists: replace}
`, rows, m.server.URL, inFlight, settings, filepath.Join(m.dir, "out"))
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return 0, err
	}
	m.server.Forget()
	p, err := bench.Execute(m.program, "run", file, "--progress", "none")
	if err != nil {
		return 0, err
	}
	if n := m.server.Requests(); n != rows {
		return 0, fmt.Errorf("%d requests were made for %d rows", n, rows)
	}
	return p.Took, nil
}

// full compares the ways to make many requests as fast as they can.
func (m *measure) full(s bench.Setting, rows int) error {
	r, err := bench.StartR(loops, m.server.URL)
	if err != nil {
		return err
	}
	defer r.Close()
	ours := &bench.Side{Name: "rpipe, the whole process", Bar: fmt.Sprintf("≥ %.0f", 0.95*limit), Run: func() (float64, error) {
		took, err := m.fetch(rows, "")
		return float64(rows) / took.Seconds(), err
	}}
	sides := []*bench.Side{ours}
	for _, loop := range []struct {
		name, word string
		rows       int
	}{
		{"R: `curl::multi_run`, 64 connections, the loop alone", "multi", rows},
		{"R: `httr::GET` in a loop", "httr", s.Pick(100, 10)},
	} {
		word := fmt.Sprintf("%s %d", loop.word, loop.rows)
		if _, err := r.Ask(fmt.Sprintf("%s 10", loop.word)); err != nil {
			var missing *bench.MissingError
			if errors.As(err, &missing) {
				fmt.Fprintf(os.Stderr, "bench: left out: %s: %v\n", loop.name, err)
				continue
			}
			return err
		}
		sides = append(sides, &bench.Side{Name: loop.name, Run: func() (float64, error) {
			took, err := r.Ask(word)
			return float64(loop.rows) / took, err
		}})
	}
	if err := bench.Compare(s, sides...); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("Requests, %d for rpipe and for curl, %d at once, 50 ms each: at most %.0f a second", rows, inFlight, limit),
		bench.PerSecond, ours, sides[1:]...)
	fmt.Printf("rpipe makes %.1f %% of what is possible.\n\n", 100*ours.Median()/limit)
	return nil
}

// rates shows how requests under a rate arrive at the server, and how those of a
// plain limiter do.
func (m *measure) rates(s bench.Setting) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("Requests under a rate, as they arrive at the server:\n\n")
	fmt.Printf("| | requests | achieved | off by | most in any second | allowed | bar: within 1 %%, never beyond what is allowed |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n")
	for _, r := range []struct {
		setting     string
		limit       float64
		burst, rows int
	}{
		{"rate: 500/s", 500, 1, s.Pick(10_000, 500)},
		{"rate: {limit: 500/s, burst: 50}", 500, 50, s.Pick(10_000, 500)},
		{"rate: 3000/m", 50, 1, s.Pick(1_000, 50)},
	} {
		if _, err := m.fetch(r.rows, r.setting); err != nil {
			return err
		}
		off, most, allowed := m.arrived(r.limit, r.burst)
		verdict := "met"
		if math.Abs(off) > 0.01 || most > allowed {
			verdict = "**missed**"
		}
		m.arrivals("rpipe, `"+r.setting+"`", r.rows, r.limit, r.burst, verdict)
		m.server.Forget()
		if _, err := bench.Execute(self, plainWord, m.server.URL, fmt.Sprint(r.limit), fmt.Sprint(r.burst), fmt.Sprint(r.rows)); err != nil {
			return err
		}
		m.arrivals("Go's `x/time/rate` and `net/http` alone, the same", r.rows, r.limit, r.burst, "")
	}
	fmt.Println()
	return nil
}

// arrived is how far from the limit the server was asked, the most requests in
// any second, and how many those may be.
func (m *measure) arrived(limit float64, burst int) (off float64, most, allowed int) {
	achieved, most := m.server.Pace(burst)
	return achieved/limit - 1, most, int(limit) + burst
}

func (m *measure) arrivals(name string, rows int, limit float64, burst int, verdict string) {
	off, most, allowed := m.arrived(limit, burst)
	fmt.Printf("| %s | %d | %.2f/s | %+.2f %% | %d | %d | %s |\n", name, rows, limit*(1+off), 100*off, most, allowed, verdict)
}
