package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "rpipe",
		Short: "Run R in many processes: pipelines of batches",
		Long: `rpipe keeps a pool of R processes and feeds it batches of rows: it reads CSV,
NDJSON, Parquet or RDS files, calls your R functions on all cores, and writes
files that appear only when they are complete.`,
		Example: examplesText(`
			rpipe new demo              # a pipeline, an R file and sample data
			rpipe check demo/pipeline.yaml
			rpipe plan demo/pipeline.yaml
			rpipe run demo/pipeline.yaml
			rpipe doctor                # is R here, and does it work?`),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newRun(), newProxy(), newCheck(), newPlan(), newCompact(), newNew(), newSchema(), newDoctor(), newVersion(), newState(), newTest(), newDLQ(), newToken(), newServe(), newWorker(), newTask(), newQueue(), newBackup())
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
