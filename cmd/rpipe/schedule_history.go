package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newScheduleHistory() *cobra.Command {
	var r remote
	var states []string
	var since string
	var limit int
	c := &cobra.Command{
		Use: "history [NAME]", Short: "List the runs of a schedule, or of all, newest first",
		Long: `List the runs of a schedule, or of all, newest first. Also those that came to nothing are
there, with the reason: SKIPPED, as the run before was under way, and MISSED, as no server
was up.` + remoteExits,
		Example: examplesText(`
			rpipe schedule history nightly
			rpipe schedule history --state ERROR,TIMEOUT --since 1d`),
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			for _, s := range states {
				q.Add("state", s)
			}
			if since != "" {
				q.Set("since", since)
			}
			if len(args) == 1 {
				q.Set("schedule", args[0])
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				list, err := server.Runs(ctx, q)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printJSON(list.Runs))
				}
				if len(list.Runs) == 0 {
					fmt.Fprintln(os.Stderr, "there is no such run")
					return nil
				}
				return unprinted(printRuns(list.Runs, len(args) == 0))
			})
		},
	}
	c.Flags().StringSliceVar(&states, "state", nil, "in this state, such as ERROR, or in one of several with commas")
	c.Flags().StringVar(&since, "since", "", "for this time or a later one: a date, or a length before now such as 1d")
	c.Flags().IntVar(&limit, "limit", 20, "how many at most")
	r.flag(c)
	return c
}

func printRuns(list []api.Run, names bool) error {
	w := newTable()
	name := func(s string) string {
		if !names {
			return ""
		}
		return s + "\t"
	}
	fmt.Fprintln(w, "ID\t"+name("SCHEDULE")+"FOR\tSTATE\tCAUSE\tATTEMPT\tTOOK\tJOB\tNOTE")
	for _, r := range list {
		note := r.Error
		if note == "" {
			note = r.Reason
		}
		if r.Late {
			note = "late; " + note
		}
		fmt.Fprintf(w, "%s\t%s%s\t%s\t%s\t%d\t%s\t%s\t%s\n", r.ID, name(r.Schedule), clock(r.Scheduled), r.State, r.Cause, r.Attempt, ran(r.Started, r.Ended), dash(r.Job), cell(brief(note, 100)))
	}
	return w.Flush()
}

func newScheduleLog() *cobra.Command {
	var r remote
	var follow bool
	c := &cobra.Command{
		Use: "log (RUN | NAME)", Short: "Print the log of a run, or of the newest run of a schedule",
		Long: `Print the log of a run, or of the newest run of a schedule: what R printed, and what
became of it. With --follow also what comes, until the run has ended.` + remoteExits,
		Example: examplesText("rpipe schedule log nightly --follow"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				id := args[0]
				if !idShape.MatchString(id) {
					var err error
					if id, err = lastBegun(ctx, server, id); err != nil {
						return err
					}
				}
				return server.RunLog(ctx, id, 0, follow, printLogLine(r.json))
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until the run has ended")
	r.flag(c)
	return c
}

// lastBegun is the newest run of a schedule that has begun, and so has a log.
func lastBegun(ctx context.Context, server *client.Client, name string) (string, error) {
	list, err := server.Runs(ctx, url.Values{"schedule": {name}, "limit": {"1000"}})
	if err != nil {
		return "", err
	}
	for _, r := range list.Runs {
		if r.Attempt > 0 {
			return r.ID, nil
		}
	}
	return "", fmt.Errorf("schedule %s has not run yet", name)
}
