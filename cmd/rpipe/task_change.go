package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func dirOf(path string) string { return filepath.Dir(path) }

// change is a command that deals with tasks by their ids.
func change(use, short, long, example, done string, flags func(*cobra.Command) error, do func(ctx context.Context, server *client.Client, ids []string) (*api.Outcomes, error)) *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: use, Short: short, Long: long + remoteExits, Example: examplesText(example),
		Args: cobra.MinimumNArgs(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if flags != nil {
			if err := flags(c); err != nil {
				return err
			}
		}
		return r.run(c, func(ctx context.Context, server *client.Client) error {
			ids, err := resolve(ctx, server, args)
			if err != nil {
				return err
			}
			out, err := do(ctx, server, distinct(ids))
			if err != nil {
				return err
			}
			return printOutcomes(out, done, r.json)
		})
	}
	r.flag(c)
	return c
}

// distinct are ids in their order, each once.
func distinct(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(ids, func(id string) bool {
		again := seen[id]
		seen[id] = true
		return again
	})
}

// idle says why nothing of a job was changed.
var idle = map[string]string{
	"cancelled": "all of its tasks have ended already: nothing was cancelled",
	"retried":   "none of its tasks has failed: nothing was retried",
	"resumed":   "all of its tasks are COMPLETE or still to end: nothing was resumed",
}

func printOutcomes(out *api.Outcomes, done string, asJSON bool) error {
	failed := false
	for _, o := range out.Outcomes {
		failed = failed || !o.OK
		switch {
		case asJSON:
			if err := printLine(o); err != nil {
				return unprinted(err)
			}
		case !o.OK:
			fmt.Fprintf(os.Stderr, "rpipe: %s: %s\n", o.ID, o.Message)
		case o.Count == 0 && isJob(o.ID) && idle[done] != "":
			fmt.Printf("%s: %s\n", o.ID, idle[done])
		case o.NewID != "":
			fmt.Printf("%s %s as %s%s\n", o.ID, done, o.NewID, ofTasks(o.Count))
		default:
			fmt.Printf("%s %s%s\n", o.ID, done, ofTasks(o.Count))
		}
	}
	if failed {
		return exitCode(pipeline.ExitFailed)
	}
	return nil
}

func ofTasks(n int) string {
	if n == 0 {
		return ""
	}
	return ", " + numbered(n, "task")
}

func newTaskCancel() *cobra.Command {
	return change("cancel ID...", "Cancel tasks, waiting or running",
		`Cancel tasks, or all tasks of jobs that have not ended: what waits does not begin, what
runs is interrupted, and killed where it does not listen. Tasks that depend on them become
IMPOSSIBLE.`, `
			rpipe task cancel nightly
			rpipe task cancel 01jd3x7v9qk2m4n6p8r0s2t4v6.3`, "cancelled", nil,
		func(ctx context.Context, server *client.Client, ids []string) (*api.Outcomes, error) {
			return server.Cancel(ctx, ids...)
		})
}

func newTaskRemove() *cobra.Command {
	return change("rm ID...", "Remove tasks that have ended, with their results and logs",
		`Remove tasks that have ended, with what they were retried from and as, results and
logs. What runs is refused: cancel it first.`, `
			rpipe task rm nightly`, "removed", nil,
		func(ctx context.Context, server *client.Client, ids []string) (*api.Outcomes, error) {
			return server.Delete(ctx, ids...)
		})
}

func newTaskResume() *cobra.Command {
	return change("resume JOB...", "Run again what is not COMPLETE of jobs",
		`Run again what is not COMPLETE of jobs that have ended: failed, cancelled, died and
timed out tasks. Results that are there stay, and the job's results are those of both.`, `
			rpipe task resume nightly`, "resumed", nil,
		func(ctx context.Context, server *client.Client, ids []string) (*api.Outcomes, error) {
			all := new(api.Outcomes)
			for _, id := range ids {
				out, err := server.Resume(ctx, id)
				var fault *api.Fault
				switch {
				case err == nil:
					all.Outcomes = append(all.Outcomes, out.Outcomes...)
				case errors.As(err, &fault) && remoteExit(err) == pipeline.ExitFailed && len(ids) > 1: // the others are told of all the same
					all.Outcomes = append(all.Outcomes, api.Outcome{ID: id, Error: fault.Code, Message: fault.Message})
				default:
					return nil, err
				}
			}
			return all, nil
		})
}

func newTaskRetry() *cobra.Command {
	var request api.RetryRequest
	var memory, timeout string
	c := change("retry ID...", "Run tasks that have ended again",
		`Run tasks that have ended again, each as a new task: the old one is MOVED and names it.
Of a job those of its tasks are taken that failed. Queue, priority, memory and time limit
may be others than before.`, `
			rpipe task retry nightly
			rpipe task retry 01jd3x7v9qk2m4n6p8r0s2t4v6.3 --queue big --memory 16GiB`, "retried",
		func(*cobra.Command) error {
			size, err := optionalSize("memory", memory)
			if err != nil {
				return err
			}
			request.Memory = (*api.Size)(size)
			if timeout != "" {
				d, err := optionalDuration("timeout", timeout)
				if err != nil {
					return err
				}
				request.Timeout = (*api.Duration)(&d)
			}
			return nil
		},
		func(ctx context.Context, server *client.Client, ids []string) (*api.Outcomes, error) {
			request.IDs = ids
			return server.Retry(ctx, request)
		})
	f := c.Flags()
	f.StringVar(&request.Queue, "queue", "", "another queue")
	f.StringVar(&request.Priority, "priority", "", "another priority: high, normal or low")
	f.BoolVar(&request.Front, "front", false, "before all others of the queue")
	f.StringVar(&memory, "memory", "", "another limit of memory, such as 16GiB")
	f.StringVar(&timeout, "timeout", "", "another time limit, such as 2h")
	return c
}
