package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
)

func newPlan() *cobra.Command {
	var vars variables
	var mermaid, asJSON bool
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show a pipeline's graph, its columns and its settings",
		Long: `Show what a pipeline would do: its parts with all defaults filled in, and the
columns and types that leave each. It reads the beginning of the input and
changes nothing. What an R function returns is not known before the first
batch, unless the map says returns.`,
		Example: examplesText(`
			rpipe plan flights.yaml
			rpipe plan flights.yaml --mermaid >> README.md`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if mermaid && asJSON {
				return errors.New("--mermaid and --json exclude each other")
			}
			f, err := load(args[0], vars)
			if err != nil {
				return err
			}
			p, problems := f.Plan(c.Context())
			problems.Format(os.Stderr, colored(os.Stderr))
			switch {
			case mermaid:
				view.Mermaid(os.Stdout, p)
			case asJSON:
				if err := printJSON(p); err != nil {
					return unprinted(err)
				}
			default:
				view.Plan(os.Stdout, p)
			}
			if len(problems.Errors()) > 0 {
				return exitCode(pipeline.ExitConfig)
			}
			return nil
		},
	}
	vars.flag(c)
	c.Flags().BoolVar(&mermaid, "mermaid", false, "print a Mermaid flowchart")
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	return c
}
