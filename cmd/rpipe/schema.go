package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy"
	"github.com/rpipe-dev/rpipe/server"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [pipeline | proxy | serve]",
		Short: "Print the JSON schema of pipeline files, proxy.yaml or rpipe.yaml, for editors",
		Example: examplesText(`
			rpipe schema > .rpipe-schema.json
			rpipe schema proxy > .rpipe-proxy-schema.json
			rpipe schema serve > .rpipe-serve-schema.json
			# then, as the first line of a pipeline, for editors with a YAML language server:
			#   # yaml-language-server: $schema=.rpipe-schema.json`),
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"pipeline", "proxy", "serve"},
		RunE: func(_ *cobra.Command, args []string) error {
			var file any = new(pipeline.File)
			name := "pipeline"
			if len(args) == 1 {
				name = args[0]
			}
			switch name {
			case "proxy":
				file = new(proxy.File)
			case "serve":
				file = new(server.File)
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
