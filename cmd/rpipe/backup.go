package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newBackup() *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "backup DIRECTORY", Short: "Copy the store of a task server that runs",
		Long: `Copy the store of a task server that runs into a new directory on the server's machine.
Tasks go on meanwhile. rpipe serve --restore DIRECTORY puts it into an empty store. Values
that are kept in a directory of their own or on S3 are not in it.` + remoteExits,
		Example: examplesText("rpipe backup /srv/backup/$(date +%F)"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				b, err := server.Backup(ctx, dir)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printJSON(b))
				}
				_, err = fmt.Printf("%s: %s in %s\n", b.Dir, memory(int64(b.Bytes)), length(time.Duration(b.Took)))
				return unprinted(err)
			})
		},
	}
	r.flag(c)
	return c
}
