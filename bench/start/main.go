// Command start measures how long a worker takes to be ready: forked from a
// loaded template, or as a fresh R that loads the same packages.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/rpool"
)

func main() {
	rpool.GuardMain()
	bench.Main(run)
}

func run(s bench.Setting) error {
	sets := [][]string{{"data.table", "tibble"}, {"data.table", "plumber"}, nil}
	if s.Quick {
		sets = sets[:1]
	}
	for _, packages := range sets {
		if missing := notInstalled(packages); missing != "" {
			fmt.Fprintf(os.Stderr, "bench: workers with %s are left out: %s is not installed\n", strings.Join(packages, " and "), missing)
			continue
		}
		if err := compare(s, packages); err != nil {
			return err
		}
	}
	return nil
}

func compare(s bench.Setting, packages []string) error {
	env := &rpool.Environment{Packages: packages}
	forks, err := rpool.New(rpool.Options{Max: s.Rounds + 2})
	if err != nil {
		return err
	}
	defer forks.Close()
	if err := forks.Warm(context.Background(), env, 1); err != nil { // the template
		return err
	}
	if st := forks.Stats().Environments[0]; !st.Forks {
		return fmt.Errorf("workers are not forked here: %s", st.WhySpawn)
	}
	// Each holds on to its worker, so that the next has to make one.
	first, err := forks.Acquire(context.Background(), env, rpool.Interactive)
	if err != nil {
		return err
	}
	defer first.Release()
	forked := &bench.Side{Name: "rpipe, forked from a warm template", Run: func() (float64, error) {
		return ready(forks, env)
	}}

	spawned := &bench.Side{Name: "rpipe with `start: spawn`", Run: func() (float64, error) {
		afresh := *env
		afresh.Start = rpool.StartSpawn
		p, err := rpool.New(rpool.Options{Max: 1})
		if err != nil {
			return 0, err
		}
		defer p.Close()
		return ready(p, &afresh)
	}}
	fresh := &bench.Side{Name: "a fresh R", Run: func() (float64, error) {
		return freshR(packages)
	}}
	if err := bench.Compare(s, forked, spawned, fresh); err != nil {
		return err
	}
	title := "Until a worker in base R is ready"
	if len(packages) > 0 {
		fresh.Bar = "< 0.05"
		title = "Until a worker with " + strings.Join(packages, " and ") + " is ready"
	}
	bench.Print(title, bench.Millis, forked, fresh, spawned)
	return nil
}

// ready is the time until a new worker has been leased. It is not released.
func ready(p *rpool.Pool, env *rpool.Environment) (float64, error) {
	started := p.Stats().Total.Started
	start := time.Now()
	_, err := p.Acquire(context.Background(), env, rpool.Interactive)
	took := time.Since(start).Seconds()
	if err == nil && p.Stats().Total.Started != started+1 {
		err = errors.New("the worker was not a new one")
	}
	return took, err
}

// freshR is the time until an R process has loaded the packages and says so.
func freshR(packages []string) (float64, error) {
	var code strings.Builder
	for _, p := range packages {
		fmt.Fprintf(&code, "suppressPackageStartupMessages(library(%s)); ", p)
	}
	code.WriteString(`cat("ready\n")`)
	start := time.Now()
	cmd := exec.Command("Rscript", "--vanilla", "-e", code.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	took := time.Since(start).Seconds()
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return 0, err
	}
	if err != nil || line != "ready\n" {
		return 0, fmt.Errorf("answer of R: %q", line)
	}
	return took, nil
}

func notInstalled(packages []string) string {
	for _, p := range packages {
		code := fmt.Sprintf("quit(status = !nzchar(system.file(package = %q)))", p)
		if exec.Command("Rscript", "--vanilla", "-e", code).Run() != nil {
			return p
		}
	}
	return ""
}
