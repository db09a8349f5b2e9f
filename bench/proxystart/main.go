//go:build unix

// Command proxystart measures how long an API takes until it answers for the
// first time, how long one more worker takes while others are busy, and what
// workers with a large model take of memory.
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

const path = "/hello"

func main() { bench.Main(run) }

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-proxystart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	api := fronts.API{Dir: dir, Path: path}
	if err := os.WriteFile(filepath.Join(dir, "plumber.R"), plumberR, 0o666); err != nil {
		return err
	}
	for _, measure := range []func(bench.Setting, string, fronts.API) error{firstAnswer, oneMore, memory} {
		if err := measure(s, program, api); err != nil {
			return err
		}
	}
	return nil
}

// installed reports whether a peer is there, by starting it.
func installed(name string, start func() (*fronts.Server, error)) (bool, error) {
	server, err := start()
	var missing *bench.MissingError
	if errors.As(err, &missing) {
		fmt.Fprintf(os.Stderr, "bench: %s is left out: %v\n", name, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	server.Close()
	return true, nil
}
