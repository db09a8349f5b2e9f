package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newQueue() *cobra.Command {
	return group("queue", "See, pause and limit the queues of a task server",
		"See, pause and limit the queues of a task server. A queue is there from its first task on.", `
			rpipe queue list
			rpipe queue pause long
			rpipe queue set default --max-length 100000`,
		newQueueList(),
		newQueueChange("pause NAME...", "Let workers take nothing from queues", "Let workers take nothing from queues. What runs goes on, and tasks may be submitted.", "paused",
			func(ctx context.Context, s *client.Client, name string) (string, error) {
				return "", s.PauseQueue(ctx, name)
			}),
		newQueueChange("resume NAME...", "Let workers take from paused queues again", "Let workers take from paused queues again.", "resumed",
			func(ctx context.Context, s *client.Client, name string) (string, error) {
				return "", s.ResumeQueue(ctx, name)
			}),
		newQueueChange("purge NAME...", "Cancel all that waits in queues", "Cancel all tasks that wait in queues. What runs goes on.", "purged",
			func(ctx context.Context, s *client.Client, name string) (string, error) {
				p, err := s.PurgeQueue(ctx, name)
				if err != nil {
					return "", err
				}
				return ", " + numbered(int(p.Cancelled), "task") + " cancelled", nil
			}),
		newQueueSet())
}

func newQueueList() *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "list", Short: "List queues: what waits and runs, and who takes from them",
		Long:    "List queues: what waits and runs, and how many workers take from them." + remoteExits,
		Example: examplesText("rpipe queue list --json"),
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				list, err := server.Queues(ctx)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printJSON(list.Queues))
				}
				return unprinted(printQueues(list.Queues))
			})
		},
	}
	r.flag(c)
	return c
}

func printQueues(list []api.Queue) error {
	w := newTable()
	fmt.Fprintln(w, "NAME\tPENDING\tDEFERRED\tRUNNING\tWORKERS\tLIMITS\tNOTE")
	for _, q := range list {
		limits, note := "-", ""
		switch {
		case q.MaxLength > 0 && q.MaxBytes > 0:
			limits = fmt.Sprintf("%d, %s", q.MaxLength, configs.Size(q.MaxBytes))
		case q.MaxLength > 0:
			limits = fmt.Sprint(q.MaxLength)
		case q.MaxBytes > 0:
			limits = configs.Size(q.MaxBytes).String()
		}
		switch {
		case q.Paused:
			note = "paused"
		case q.Workers == 0 && q.Pending > 0:
			note = "no worker takes from it"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\n", q.Name, q.Pending, q.Deferred, q.Running, q.Workers, limits, note)
	}
	return w.Flush()
}

func newQueueChange(use, short, long, done string, do func(context.Context, *client.Client, string) (string, error)) *cobra.Command {
	var r remote
	var create bool
	c := &cobra.Command{
		Use: use, Short: short, Long: long + " A queue that no task, worker or setting\nnames is an error, without --create." + remoteExits, Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				if err := knownQueues(ctx, server, args); err != nil && !create {
					return err
				}
				for _, name := range args {
					more, err := do(ctx, server, name)
					if err != nil {
						return err
					}
					if !r.json {
						fmt.Printf("%s %s%s\n", name, done, more)
						continue
					}
					q, err := server.Queue(ctx, name)
					if err != nil {
						return err
					}
					if err := printLine(q); err != nil {
						return unprinted(err)
					}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&create, "create", false, "also where nothing names the queue yet")
	r.flag(c)
	return c
}

// knownQueues is an error where one of names is no queue, which may be a slip of the pen.
func knownQueues(ctx context.Context, server *client.Client, names []string) error {
	list, err := server.Queues(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	var all []string
	for _, q := range list.Queues {
		known[q.Name] = true
		all = append(all, q.Name)
	}
	for _, name := range names {
		if !known[name] {
			there := "there is none yet"
			if len(all) > 0 {
				there = "there are " + strings.Join(all, ", ")
			}
			return fmt.Errorf("there is no queue %s: no task, worker or setting names it; %s; --create takes it all the same", name, there)
		}
	}
	return nil
}

func newQueueSet() *cobra.Command {
	var r remote
	var length int
	var size string
	c := &cobra.Command{
		Use: "set NAME", Short: "Limit how much may wait in a queue",
		Long: `Limit how much may wait in a queue. Submissions past it are refused, with 429 and the
time after which to try again.` + remoteExits,
		Example: examplesText("rpipe queue set default --max-length 100000 --max-bytes 10GiB"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var s api.QueueSettings
			if c.Flags().Changed("max-length") {
				s.MaxLength = &length
			}
			bytes, err := optionalSize("max-bytes", size)
			if err != nil {
				return err
			}
			s.MaxBytes = (*api.Size)(bytes)
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				q, err := server.SetQueue(ctx, args[0], s)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printLine(q))
				}
				return unprinted(printQueues([]api.Queue{*q}))
			})
		},
	}
	c.Flags().IntVar(&length, "max-length", 0, "tasks that may wait (0: no limit)")
	c.Flags().StringVar(&size, "max-bytes", "", "bytes of arguments of those, such as 10GiB (0: no limit)")
	r.flag(c)
	return c
}
