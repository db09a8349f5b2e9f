package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newOwner() *cobra.Command {
	return group("owner", "See and limit who submits tasks",
		"See and limit the owners of tasks: how many of theirs may run at a time, and how much they\nmay keep.", `
			rpipe owner list
			rpipe owner set ana --max-running 8 --max-bytes 50GiB`,
		newShow("list", "List owners, their limits and tasks", "List owners: oneself, or with scope read all who have tasks or limits.", cobra.NoArgs,
			func(ctx context.Context, s *client.Client, _ []string) (any, error) {
				list, err := s.Owners(ctx)
				if err != nil {
					return nil, err
				}
				return list.Owners, nil
			}, func(v any) error { return printOwners(v.([]api.Owner)) }),
		newOwnerSet())
}

func printOwners(list []api.Owner) error {
	w := newTable()
	fmt.Fprintln(w, "OWNER\tPENDING\tRUNNING\tKEPT\tMAX RUNNING\tMAX JOBS\tMAX KEPT")
	limit := func(n int64, text string) string {
		if n == 0 {
			return "-"
		}
		return text
	}
	for _, o := range list {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\n", o.Owner, o.States["PENDING"], o.States["RUNNING"], configs.Size(o.Bytes),
			limit(int64(o.MaxRunning), fmt.Sprint(o.MaxRunning)), limit(int64(o.MaxJobs), fmt.Sprint(o.MaxJobs)), limit(int64(o.MaxBytes), configs.Size(o.MaxBytes).String()))
	}
	return w.Flush()
}

func newOwnerSet() *cobra.Command {
	var r remote
	var running, jobs int
	var size string
	c := &cobra.Command{
		Use: "set OWNER", Short: "Limit an owner",
		Long:    "Limit an owner. What is not named stays as it is; 0 is no limit. What runs goes on." + remoteExits,
		Example: examplesText("rpipe owner set ana --max-running 8 --max-bytes 50GiB"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var s api.OwnerSettings
			if c.Flags().Changed("max-running") {
				s.MaxRunning = &running
			}
			if c.Flags().Changed("max-jobs") {
				s.MaxJobs = &jobs
			}
			bytes, err := optionalSize("max-bytes", size)
			if err != nil {
				return err
			}
			s.MaxBytes = (*api.Size)(bytes)
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				o, err := server.SetOwner(ctx, args[0], s)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printLine(o))
				}
				return unprinted(printOwners([]api.Owner{*o}))
			})
		},
	}
	c.Flags().IntVar(&running, "max-running", 0, "tasks that may run at a time (0: no limit)")
	c.Flags().IntVar(&jobs, "max-jobs", 0, "jobs with tasks that run (0: no limit)")
	c.Flags().StringVar(&size, "max-bytes", "", "bytes of values that may be kept, such as 50GiB (0: no limit)")
	r.flag(c)
	return c
}
