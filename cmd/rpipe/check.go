package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy"
	"github.com/rpipe-dev/rpipe/server"
)

func newCheck() *cobra.Command {
	var vars variables
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Find every problem of pipeline files, proxy.yaml and rpipe.yaml, without running them",
		Long: `Find every problem of pipeline files: what the files say, the R files they name,
the beginning of their input, and the columns and expressions of each stage.
Nothing is run and nothing is changed. A file with apis is one for rpipe proxy; one that
is called rpipe.yaml, or has workers, nats, schedules or other keys of rpipe serve, is one
for that.

Exit status: 0 no errors (there may be warnings); 2 errors.`,
		Example: examplesText(`
			rpipe check flights.yaml
			rpipe check pipelines/*.yaml
			rpipe check proxy.yaml rpipe.yaml
			rpipe check flights.yaml --json | jq '.[].message'`),
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			all := configs.Problems{}
			for _, path := range args {
				problems := checkFile(c.Context(), path, vars)
				all = append(all, problems...)
				if !asJSON {
					problems.Format(os.Stdout, colored(os.Stdout))
				}
			}
			if asJSON {
				if err := printJSON(all); err != nil {
					return unprinted(err)
				}
			}
			if n := len(all.Errors()); n > 0 {
				return exitCode(pipeline.ExitConfig)
			}
			if !asJSON && len(all) == 0 {
				fmt.Println("no problems")
			}
			return nil
		},
	}
	vars.flag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the problems as JSON")
	return c
}

// checkFile finds the problems of a file of either kind.
func checkFile(ctx context.Context, path string, vars variables) configs.Problems {
	if server.Is(path) {
		_, problems := server.Check(ctx, path, vars)
		return problems
	}
	if proxy.Is(path) {
		_, problems := proxy.Check(ctx, path, vars)
		return problems
	}
	_, problems := pipeline.Check(ctx, path, vars)
	return problems
}

// colored reports whether f is a terminal that shall have colours.
func colored(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
