package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newWorkerConfig() *cobra.Command {
	return group("config", "Keep settings on the server that workers start with",
		"Keep named settings on the server, with which rpipe worker --config NAME starts.", `
			rpipe worker config set gpu --queue gpu,default --max 2 --idle-timeout 10m
			rpipe worker config list
			rpipe worker config rm gpu`,
		newShow("list", "List worker configurations", "List worker configurations.", cobra.NoArgs,
			func(ctx context.Context, s *client.Client, _ []string) (any, error) {
				list, err := s.WorkerConfigs(ctx)
				if err != nil {
					return nil, err
				}
				return list.Configs, nil
			}, func(v any) error {
				w := newTable()
				fmt.Fprintln(w, "NAME\tQUEUES\tMIN\tMAX\tIDLE TIMEOUT\tMAX MEMORY\tMAX TASKS")
				for _, c := range v.([]api.WorkerConfig) {
					fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%d\n", c.Name, strings.Join(c.Queues, ","), c.Min, c.Max, time.Duration(c.IdleTimeout), configs.Size(c.MaxMemory), c.MaxTasks)
				}
				return w.Flush()
			}),
		newShow("show NAME", "Print a worker configuration as JSON", "Print a worker configuration as JSON.", cobra.ExactArgs(1),
			func(ctx context.Context, s *client.Client, args []string) (any, error) {
				return s.WorkerConfig(ctx, args[0])
			}, nil),
		newWorkerConfigSet(),
		newRemove("rm NAME...", "Delete worker configurations", "Delete worker configurations. Workers that have begun with one go on.",
			func(ctx context.Context, s *client.Client, name string) error { return s.DeleteWorkerConfig(ctx, name) }))
}

func newWorkerConfigSet() *cobra.Command {
	var r remote
	var w api.WorkerConfig
	var idle, memory string
	c := &cobra.Command{
		Use: "set NAME", Short: "Set a worker configuration",
		Long:    "Set a worker configuration: all of it, what is not named has its default. Workers that\nstart from now on have it." + remoteExits,
		Example: examplesText("rpipe worker config set gpu --queue gpu,default --max 2 --idle-timeout 10m"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := optionalDuration("idle-timeout", idle)
			if err != nil {
				return err
			}
			w.IdleTimeout = api.Duration(d)
			bytes, err := optionalSize("max-memory", memory)
			if err != nil {
				return err
			}
			if bytes != nil {
				w.MaxMemory = api.Size(*bytes)
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				if err := server.SetWorkerConfig(ctx, args[0], &w); err != nil {
					return err
				}
				if r.json {
					made, err := server.WorkerConfig(ctx, args[0])
					if err != nil {
						return err
					}
					return unprinted(printLine(made))
				}
				_, err := fmt.Printf("%s is set\n", args[0])
				return unprinted(err)
			})
		},
	}
	f := c.Flags()
	f.StringSliceVar(&w.Queues, "queue", nil, "queues in order of priority (default: default)")
	f.IntVar(&w.Min, "min", 0, "R processes that are kept up")
	f.IntVar(&w.Max, "max", 0, "R processes at most (0: one for each core)")
	f.StringVar(&idle, "idle-timeout", "", "the worker ends after so long without a task, such as 10m (default: never)")
	f.StringVar(&memory, "max-memory", "", "resident memory of one R process, such as 4GiB (default: no limit)")
	f.IntVar(&w.MaxTasks, "max-tasks", 0, "an R process is replaced after so many (0: never)")
	f.BoolVar(&w.LogTasks, "log-tasks", false, "the worker's log names each task")
	r.flag(c)
	return c
}
