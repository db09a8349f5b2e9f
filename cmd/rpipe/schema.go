package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [pipeline | proxy]",
		Short: "Print the JSON schema of pipeline files, or of proxy.yaml, for editors",
		Example: examplesText(`
			rpipe schema > .rpipe-schema.json
			rpipe schema proxy > .rpipe-proxy-schema.json
			# then, as the first line of a pipeline, for editors with a YAML language server:
			#   # yaml-language-server: $schema=.rpipe-schema.json`),
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"pipeline", "proxy"},
		RunE: func(_ *cobra.Command, args []string) error {
			var file any = new(pipeline.File)
			name := "pipeline"
			if len(args) == 1 && args[0] == "proxy" {
				file, name = new(proxy.File), "proxy"
			}
			text, err := configs.Schema(file, "https://rpipe.dev/schema/"+name+".json")
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(append(text, '\n'))
			return unprinted(err)
		},
	}
}
