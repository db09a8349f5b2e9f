//go:build unix

// Command proxy measures a trivial plumber endpoint through rpipe and through
// what else can put several R processes behind one port.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

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
	workers = 2
	path    = "/hello"
	answer  = `{"msg":["hi"]}`
)

func main() { bench.Main(run) }

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-proxy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	api := fronts.API{Dir: dir, Path: path}
	if err := os.WriteFile(filepath.Join(dir, "plumber.R"), plumberR, 0o666); err != nil {
		return err
	}
	backends, err := fronts.Start(api, workers)
	if err != nil {
		return err
	}
	defer backends.Close()
	contenders, err := start(contenders(program, api, backends))
	defer func() {
		for _, c := range contenders {
			c.server.Close()
		}
	}()
	if err != nil {
		return err
	}
	loop, err := startLoop(filepath.Join(dir, "plumber.R"))
	if err != nil {
		return err
	}
	defer loop.close()
	for _, connections := range []int{1, 8} {
		if err := compare(s, connections, contenders, loop); err != nil {
			return err
		}
	}
	for _, c := range contenders {
		fronts.Tell([]*fronts.Peer{c.peer})
	}
	return nil
}

// contender is a server that is compared with rpipe, which is the first.
type contender struct {
	name  string
	kind  kind
	start func() (*fronts.Server, error)

	server *fronts.Server
	peer   *fronts.Peer
}

// kind says which bar a contender is measured by.
type kind int

const (
	other      kind = iota
	configured      // a proxy as one who knows would set it up
	keeping         // TCP connections to R are kept
)

func contenders(program string, api fronts.API, b *fronts.Backends) []*contender {
	n := fmt.Sprintf("%d plumber processes", workers)
	return []*contender{
		{name: fmt.Sprintf("rpipe proxy, %d workers", workers), start: func() (*fronts.Server, error) { return fronts.RPipe(program, api, workers) }},
		{name: "nginx, HTTP/1.0 and closed connections (its default), " + n, kind: configured, start: func() (*fronts.Server, error) { return b.NGINX(fronts.Closing) }},
		{name: "nginx, Unix sockets with `keepalive`, " + n, kind: configured, start: func() (*fronts.Server, error) { return b.NGINX(fronts.Sockets) }},
		{name: "haproxy, `http-server-close`, " + n, kind: configured, start: func() (*fronts.Server, error) { return b.HAProxy(fronts.Closing) }},
		{name: "haproxy, Unix sockets, `maxconn 1`, " + n, kind: configured, start: func() (*fronts.Server, error) { return b.HAProxy(fronts.Sockets) }},
		{name: "nginx, TCP with `keepalive`, " + n, kind: keeping, start: func() (*fronts.Server, error) { return b.NGINX(fronts.Kept) }},
		{name: "haproxy, connections kept (its default), " + n, kind: keeping, start: func() (*fronts.Server, error) { return b.HAProxy(fronts.Kept) }},
		{name: "plumber alone, one process", start: func() (*fronts.Server, error) { return fronts.Plumber(api) }},
		{name: fmt.Sprintf("valve, %d processes", workers), start: func() (*fronts.Server, error) { return fronts.Valve(*valve, api, workers) }},
		{name: fmt.Sprintf("faucet, %d processes", workers), start: func() (*fronts.Server, error) { return fronts.Faucet(*faucet, api, workers) }},
	}
}

// start starts them, and leaves those out that are not installed. Those that it
// returns are up even where there is an error.
func start(all []*contender) (up []*contender, err error) {
	for _, c := range all {
		var missing *bench.MissingError
		c.server, err = c.start()
		if errors.As(err, &missing) {
			fmt.Fprintf(os.Stderr, "bench: %s is left out: %v\n", c.name, err)
			continue
		}
		if err != nil {
			return up, err
		}
		c.peer = &fronts.Peer{Name: c.name}
		up = append(up, c)
		if err := c.server.Ready(path); err != nil {
			return up, err
		}
	}
	if len(up) == 0 || up[0] != all[0] {
		return up, fmt.Errorf("there is no %s: make build", *rpipe)
	}
	return up, nil
}

func compare(s bench.Setting, connections int, contenders []*contender, loop *loop) error {
	period := time.Duration(s.Pick(2000, 200)) * time.Millisecond
	var sides []*bench.Side
	for _, c := range contenders {
		load := fronts.Load{Addr: c.server.Addr, Path: path, Want: answer, Connections: connections, Period: period}
		side := &bench.Side{Name: c.name, Run: load.Rate}
		if c != contenders[0] {
			c.peer.Measure(side)
		}
		switch {
		case c.kind == configured:
			side.Bar = "≥ 1.3"
		case c.kind == keeping && connections == 1:
			side.Bar = "≥ 20"
		}
		sides = append(sides, side)
	}
	busy := min(connections, workers)
	limit := &bench.Side{Name: fmt.Sprintf("`pr$call()` in a loop in R, nothing else, %d at once", busy), Run: func() (float64, error) {
		return loop.rate(busy, s.Pick(2500, 100))
	}}
	if connections == 1 {
		limit.Bar = "≥ 0.8"
	}
	sides = append(sides, limit)
	if err := bench.Compare(s, sides...); err != nil {
		return err
	}
	title := "One connection, kept"
	if connections > 1 {
		title = fmt.Sprintf("%d connections, kept", connections)
	}
	bench.Print(title, bench.PerSecond, sides[0], sides[1:]...)
	return nil
}
