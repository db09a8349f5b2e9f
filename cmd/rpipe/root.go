package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "rpipe",
		Short: "Run R in many processes: pipelines, APIs, tasks",
		Long: `rpipe keeps a pool of R processes and feeds it three ways: run calls your R functions
with batches of large tables, from files or web APIs to files that appear only when they
are complete; proxy serves a plumber API on one port; serve is a task queue with
schedules and a dashboard, to which task submits functions and scripts.`,
		Example: examplesText(`
			rpipe new demo                      # a pipeline, an R file and sample data
			rpipe run demo/pipeline.yaml
			rpipe proxy plumber.R
			rpipe serve
			rpipe task submit --fun 'function(x) x^2' --over 1:100 --wait
			rpipe doctor                        # is R here, and does it work?`),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newRun(), newProxy(), newCheck(), newPlan(), newCompact(), newNew(), newSchema(), newDoctor(), newVersion(), newState(), newTest(), newDLQ(), newToken(), newServe(), newWorker(), newTask(), newQueue(), newEnv(), newOwner(), newSchedule(), newBackup())
	return root
}

// examplesText takes the indentation of the source off an Example text.
func examplesText(text string) string {
	lines := strings.Split(strings.Trim(text, "\n\t "), "\n")
	for i, l := range lines {
		lines[i] = "  " + strings.TrimLeft(l, "\t")
	}
	return strings.Join(lines, "\n")
}
