package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newWorkerList() *cobra.Command {
	var r remote
	var atLeast int
	var timeout string
	c := &cobra.Command{
		Use: "list", Short: "List the workers that are connected, and what they do",
		Long: `List the workers that are connected, and what they do. With --wait it waits until there
are so many.` + remoteExits,
		Example: examplesText(`
			rpipe worker list
			rpipe worker list --wait 4 --timeout 5m`),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			limit, err := optionalDuration("timeout", timeout)
			if err != nil {
				return err
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				list, err := waitForWorkers(ctx, server, atLeast, limit)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printJSON(list.Workers))
				}
				if len(list.Workers) == 0 {
					fmt.Fprintln(os.Stderr, "no worker is connected")
					return nil
				}
				return unprinted(printWorkers(list.Workers))
			})
		},
	}
	c.Flags().IntVar(&atLeast, "wait", 0, "until there are so many")
	c.Flags().StringVar(&timeout, "timeout", "", "with --wait: how long at most, such as 5m (default: for ever)")
	r.flag(c)
	return c
}

// waitForWorkers asks once a second: they come when their machines do.
func waitForWorkers(ctx context.Context, server *client.Client, atLeast int, limit time.Duration) (*api.Workers, error) {
	began := time.Now()
	for {
		list, err := server.Workers(ctx)
		if err != nil || len(list.Workers) >= atLeast {
			return list, err
		}
		if limit > 0 && time.Since(began) > limit {
			return nil, fmt.Errorf("%d workers within %s, and not %d", len(list.Workers), limit, atLeast)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func printWorkers(list []api.Worker) error {
	w := newTable()
	fmt.Fprintln(w, "ID\tSTATE\tHOST\tPID\tQUEUES\tR\tMEMORY\tDONE\tLOAD 15s\tUP SINCE\tRUNS")
	for _, k := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d/%d\t%s\t%d\t%.1f\t%s\t%s\n", k.ID, k.State, k.Host, k.Pid, strings.Join(k.Queues, ","),
			k.Busy, k.Max, memory(k.RSS), k.Done, k.Load.S15, since(k.Started), brief(strings.Join(k.Tasks, " "), 60))
	}
	return w.Flush()
}

func newWorkerStop() *cobra.Command {
	var r remote
	var now bool
	c := &cobra.Command{
		Use: "stop ID...", Short: "End workers after the tasks that they run",
		Long:    "End workers after the tasks that they run; with --now these go back to their queue." + remoteExits,
		Example: examplesText("rpipe worker stop node7-1a2b3c"),
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			m := api.Message{Type: "stop"}
			if now {
				m.Text = tasks.StopNow
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				var errs []error
				for _, id := range args {
					if _, err := server.Message(ctx, id, m); err != nil {
						errs = append(errs, fmt.Errorf("%s: %w", id, err))
						continue
					}
					if r.json {
						errs = append(errs, printLine(map[string]string{"id": id, "state": "STOPPING"}))
					} else {
						fmt.Printf("%s is stopping\n", id)
					}
				}
				return errors.Join(errs...)
			})
		},
	}
	c.Flags().BoolVar(&now, "now", false, "do not wait for the tasks: they go back to their queue")
	r.flag(c)
	return c
}

func newWorkerLog() *cobra.Command {
	var r remote
	var follow bool
	c := &cobra.Command{
		Use: "log ID", Short: "Print what a worker has logged; with -f, as it comes",
		Long:    "Print what a worker has logged; with -f also what is to come." + remoteExits,
		Example: examplesText("rpipe worker log -f node7-1a2b3c"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				lines, print := 0, printLogLine(r.json)
				err := server.WorkerLog(ctx, args[0], 0, follow, func(l *api.LogLine) error {
					lines++
					return print(l)
				})
				if err != nil || lines > 0 {
					return err
				}
				_, err = server.Worker(ctx, args[0]) // has it logged nothing, or is there none?
				return err
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "also what is to come")
	r.flag(c)
	return c
}

func newWorkerMessage() *cobra.Command {
	var r remote
	var m api.Message
	var seconds string
	c := &cobra.Command{
		Use: "message ID TYPE", Short: "Tell a worker something, and print its answer",
		Long: `Tell a worker something, and print its answer, which is JSON: ping, echo, info, load,
pause, resume, refresh (environments), stop, timeout_get, timeout_set, queues, or eval,
which admins may.` + remoteExits,
		Example: examplesText(`
			rpipe worker message node7-1a2b3c ping
			rpipe worker message node7-1a2b3c queues --queue short
			rpipe worker message node7-1a2b3c timeout_set --seconds 10m`),
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			m.Type = args[1]
			d, err := optionalDuration("seconds", seconds)
			if err != nil {
				return err
			}
			m.Seconds = api.Duration(d)
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				answer, err := server.Message(ctx, args[0], m)
				if err != nil {
					return err
				}
				if _, err := fmt.Printf("%s\n", answer); err != nil {
					return unprinted(err)
				}
				var reply struct {
					OK *bool `json:"ok"`
				}
				if json.Unmarshal(answer, &reply) == nil && reply.OK != nil && !*reply.OK {
					return exitCode(pipeline.ExitFailed)
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&m.Text, "text", "", "echo: what comes back; stop: why; eval: R source text")
	c.Flags().StringVar(&seconds, "seconds", "", "timeout_set: the idle time, such as 10m")
	c.Flags().StringSliceVar(&m.Queues, "queue", nil, "queues: which to take from now")
	r.flag(c)
	return c
}
