package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
)

func newCheck() *cobra.Command {
	var vars variables
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Find every problem of pipeline files, without running them",
		Long: `Find every problem of pipeline files: what the files say, the R files they name,
the beginning of their input, and the columns and expressions of each stage.
Nothing is run and nothing is changed.

Exit status: 0 no errors (there may be warnings); 2 errors.`,
		Example: examplesText(`
			rpipe check flights.yaml
			rpipe check pipelines/*.yaml
			rpipe check flights.yaml --json | jq '.[].message'`),
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			all := configs.Problems{}
			for _, path := range args {
				_, problems := pipeline.Check(c.Context(), path, vars)
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

// colored reports whether f is a terminal that shall have colours.
func colored(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
