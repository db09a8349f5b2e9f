//go:build unix

// Command proxysleep measures what valve's authors do: an endpoint that sleeps
// for half a second, a hundred requests, five at a time, five workers.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/bench/fronts"
)

var (
	rpipe  = flag.String("rpipe", "bin/rpipe", "the program to measure")
	valve  = flag.String("valve", "valve", "valve, from the crate valve-rs")
	faucet = flag.String("faucet", "faucet", "faucet, from the crate faucet-server")
)

//go:embed plumber.R
var plumberR []byte

const (
	workers = 5
	path    = "/sleep"
	answer  = `{"slept":[0.5]}`
)

func main() { bench.Main(run) }

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-proxysleep-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	api := fronts.API{Dir: dir, Path: path}
	if err := os.WriteFile(filepath.Join(dir, "plumber.R"), plumberR, 0o666); err != nil {
		return err
	}
	requests := s.Pick(100, 10)
	limit := float64(requests) / workers * 0.5
	least := &bench.Side{Name: "the least that is possible", Bar: "≤ 1.01", Run: func() (float64, error) { return limit, nil }}

	rpipeProxy := func() (*fronts.Server, error) { return fronts.RPipe(program, api, workers) }
	sides := []*bench.Side{
		up("rpipe proxy, its workers up", requests, rpipeProxy),
		least,
		fresh("rpipe proxy, one worker up at first", requests, rpipeProxy),
	}
	var peers []*fronts.Peer
	for _, peer := range []struct {
		name  string
		start func() (*fronts.Server, error)
	}{
		{"valve", func() (*fronts.Server, error) { return fronts.Valve(*valve, api, workers) }},
		{"faucet", func() (*fronts.Server, error) { return fronts.Faucet(*faucet, api, workers) }},
	} {
		server, err := peer.start()
		if missing := (*bench.MissingError)(nil); errors.As(err, &missing) {
			fmt.Fprintf(os.Stderr, "bench: %s is left out: %v\n", peer.name, err)
			continue
		} else if err != nil {
			return err
		}
		server.Close() // it is there; each side starts its own
		for _, side := range []*bench.Side{up(peer.name+", its processes up", requests, peer.start), fresh(peer.name+", as it starts", requests, peer.start)} {
			p := &fronts.Peer{Name: side.Name}
			p.Measure(side)
			sides, peers = append(sides, side), append(peers, p)
		}
	}
	if err := bench.Compare(s, sides...); err != nil {
		return err
	}
	alone := fresh("plumber alone", requests, func() (*fronts.Server, error) { return fronts.Plumber(api) })
	if err := bench.Once(alone); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%d requests of 0.5 s, 5 at a time, 5 workers", requests), bench.Seconds, sides[0], sides[1:]...)
	fronts.Tell(peers)
	fmt.Printf("plumber alone, one process, measured once: %.2f seconds.\n", alone.Median())
	return nil
}

// up is a server that has had as many requests at once as it has workers.
func up(name string, requests int, start func() (*fronts.Server, error)) *bench.Side {
	return side(name, requests, start, true)
}

// fresh is a server that has answered one request since its start.
func fresh(name string, requests int, start func() (*fronts.Server, error)) *bench.Side {
	return side(name, requests, start, false)
}

func side(name string, requests int, start func() (*fronts.Server, error), warm bool) *bench.Side {
	return &bench.Side{Name: name, Run: func() (float64, error) {
		server, err := start()
		if err != nil {
			return 0, err
		}
		defer server.Close()
		if err := server.Ready(path); err != nil {
			return 0, err
		}
		load := fronts.Load{Addr: server.Addr, Path: path, Want: answer, Connections: workers}
		if warm {
			load.Requests = 4 * workers
			if _, _, err := load.Run(); err != nil {
				return 0, err
			}
		}
		load.Requests = requests
		_, took, err := load.Run()
		return took.Seconds(), err
	}}
}
