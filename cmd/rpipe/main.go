// Command rpipe runs R in many processes: batch pipelines, HTTP APIs, and tasks.
package main

import (
	"errors"
	"fmt"
	"os"
	_ "time/tzdata" // columns have zones, and small containers have no zone files

	"github.com/rpipe-dev/rpipe/pipeline/view"
	"github.com/rpipe-dev/rpipe/rpool"
)

func main() { os.Exit(Main()) }

// Main is main, less the exit: tests run it as a program of their own.
func Main() int {
	if len(os.Args) > 1 && os.Args[1] == "__guard" {
		rpool.GuardMain()
		return 0
	}
	root := newRoot()
	err := root.Execute()
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
	return 2 // what cobra refuses: an unknown flag or command
}

// exitCode is an error that has been told already; it only carries the code.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }
