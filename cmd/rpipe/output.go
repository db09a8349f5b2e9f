package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/rpipe-dev/rpipe/pipeline"
)

// printJSON prints v on stdout, indented.
func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// unprinted is the exit status of a command whose output could not be written.
func unprinted(err error) error {
	if err == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "rpipe: print the output: %v\n", err)
	return exitCode(pipeline.ExitFailed)
}
