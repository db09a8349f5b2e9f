package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of pipeline files, for editors",
		Example: examplesText(`
			rpipe schema > .rpipe-schema.json
			# then, as the first line of a pipeline, for editors with a YAML language server:
			#   # yaml-language-server: $schema=.rpipe-schema.json`),
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := configs.Schema(new(pipeline.File), "https://rpipe.dev/schema/pipeline.json")
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(append(text, '\n'))
			return unprinted(err)
		},
	}
}
