package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newSchedule() *cobra.Command {
	return group("schedule", "See and run what a server runs by the clock",
		`See and run what a server runs by the clock: functions, expressions and scripts of
schedules: in rpipe.yaml, and pipelines.`, `
			rpipe schedule list
			rpipe schedule history nightly --state ERROR
			rpipe schedule log RUN --follow
			rpipe schedule backfill nightly --from 2026-03-01 --to 2026-03-08
			rpipe schedule next --cron '30 2 * * MON-FRI' --time-zone Europe/Berlin`,
		newScheduleList(), newScheduleNext(), newScheduleRun(),
		newSchedulePause("pause NAME...", "Have nothing of schedules due, until they are resumed",
			`Have nothing of schedules due, until they are resumed, also after a restart of the
server. Times that come meanwhile are passed over. Runs under way go on.`, "paused", (*client.Client).PauseSchedule),
		newSchedulePause("resume NAME...", "End the pause of schedules", "End the pause of schedules.", "resumed", (*client.Client).ResumeSchedule),
		newScheduleHistory(), newScheduleLog(), newScheduleBackfill(), newScheduleCancel())
}

func newScheduleList() *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "list", Short: "List schedules: when they are due, and what became of the last run",
		Long:    "List schedules: when they are due, and what became of the last run." + remoteExits,
		Example: examplesText("rpipe schedule list --json"),
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				list, err := server.Schedules(ctx)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printJSON(list.Schedules))
				}
				if len(list.Schedules) == 0 {
					fmt.Fprintln(os.Stderr, "there is no schedule")
					return nil
				}
				return unprinted(printSchedules(list.Schedules))
			})
		},
	}
	r.flag(c)
	return c
}

func printSchedules(list []api.Schedule) error {
	w := newTable()
	fmt.Fprintln(w, "NAME\tKIND\tWHEN\tNEXT\tLAST\tSTATE\tNOTE")
	for _, s := range list {
		when := s.Cron
		if s.TimeZone != "" && s.TimeZone != "UTC" && s.Cron != "" {
			when += " " + s.TimeZone
		}
		if when == "" && len(s.After) > 0 {
			when = "after " + strings.Join(s.After, ", ")
		}
		next, last, state := "-", "-", "-"
		if s.Next != nil {
			next = clock(*s.Next)
		}
		if s.Last != nil {
			last, state = clock(s.Last.Scheduled), s.Last.State
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, dash(s.Kind), cell(dash(when)), next, last, state, scheduleNote(&s))
	}
	return w.Flush()
}

// scheduleNote is what is out of the ordinary.
func scheduleNote(s *api.Schedule) string {
	var notes []string
	switch {
	case s.Gone:
		notes = append(notes, "no longer configured")
	case s.Paused && s.PausedBy != "":
		notes = append(notes, "paused by "+cell(s.PausedBy))
	case s.Paused:
		notes = append(notes, "paused")
	}
	if s.Failing {
		notes = append(notes, "failing")
	}
	if n := s.Running; n > 1 || n == 1 && (s.Last == nil || s.Last.Ended != nil) { // STATE does not say it
		notes = append(notes, fmt.Sprintf("%d running", n))
	}
	if s.Waiting > 0 {
		notes = append(notes, fmt.Sprintf("%d waiting", s.Waiting))
	}
	if n := len(s.Backfills); n > 0 {
		notes = append(notes, numbered(n, "backfill"))
	}
	return strings.Join(notes, ", ")
}

// clock is a time of this machine's zone, to the second.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func newScheduleNext() *cobra.Command {
	var r remote
	var n int
	var t schedule.Timing
	var from string
	c := &cobra.Command{
		Use: "next (NAME | --cron EXPRESSION [--time-zone ZONE])", Short: "Say when a schedule is due next",
		Long: `Say when a schedule is due next. With --cron an expression is tried out, without a
server: five fields (minute hour day month weekday), six with seconds before them, @daily
and others, or @every 90s.` + remoteExits,
		Example: examplesText(`
			rpipe schedule next nightly -n 5
			rpipe schedule next --cron '30 2 * * *' --time-zone America/New_York --from 2026-03-07`),
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (t.Cron != "") {
				return fmt.Errorf("give the name of a schedule, or --cron with an expression")
			}
			if n < 1 || n > 1000 {
				return fmt.Errorf("-n %d is not from 1 to 1000", n)
			}
			if t.Cron != "" {
				times, err := triedTimes(&t, from, n)
				if err != nil {
					return err
				}
				return unprinted(printTimes(times, r.json))
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				times, err := server.NextTimes(ctx, args[0], n)
				if err != nil {
					return err
				}
				return unprinted(printTimes(times.Times, r.json))
			})
		},
	}
	c.Flags().IntVarP(&n, "count", "n", 10, "how many times")
	c.Flags().StringVar(&t.Cron, "cron", "", "an expression to try out")
	c.Flags().StringVar(&t.TimeZone, "time-zone", "UTC", "with --cron: the zone of its fields, such as Europe/Berlin, or local")
	c.Flags().StringVar(&from, "from", "", "with --cron: a date or time to begin at (default: now)")
	r.flag(c)
	return c
}

// triedTimes are the times of an expression.
func triedTimes(t *schedule.Timing, from string, n int) ([]time.Time, error) {
	p, err := t.Compile()
	if err != nil {
		return nil, fmt.Errorf("--%s", strings.Replace(err.Error(), "time_zone:", "time-zone:", 1))
	}
	at := time.Now()
	if from != "" {
		if at, err = schedule.Instant(from).In(p.Zone); err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
		at = at.Add(-time.Nanosecond)
	}
	var times []time.Time
	for at = p.Next(at); !at.IsZero() && len(times) < n; at = p.Next(at) {
		times = append(times, at)
	}
	return times, nil
}

func printTimes(times []time.Time, asJSON bool) error {
	if asJSON {
		if times == nil {
			times = []time.Time{}
		}
		return printJSON(times)
	}
	if len(times) == 0 {
		fmt.Fprintln(os.Stderr, "it is never due")
	}
	for _, t := range times {
		if _, err := fmt.Println(t.Format("Mon 2006-01-02 15:04:05 -07:00")); err != nil {
			return err
		}
	}
	return nil
}

func newScheduleRun() *cobra.Command {
	var r remote
	var at string
	var wait bool
	c := &cobra.Command{
		Use: "run NAME", Short: "Run a schedule now",
		Long: `Run a schedule now, beside its times. It waits for a run under way to end, unless overlap
is allow. With --wait its log is printed until it has ended, and the exit status is 1
where it did not end well.` + remoteExits,
		Example: examplesText("rpipe schedule run nightly --wait"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var in api.RunRequest
			if at != "" {
				t, err := schedule.Instant(at).In(time.Local)
				if err != nil {
					return fmt.Errorf("--scheduled: %w", err)
				}
				in.Scheduled = &t
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				run, err := server.RunSchedule(ctx, args[0], in)
				if err != nil {
					return err
				}
				if !wait {
					if r.json {
						return unprinted(printLine(run))
					}
					fmt.Println(run.ID)
					return nil
				}
				return followRun(ctx, server, run.ID, r.json)
			})
		},
	}
	c.Flags().StringVar(&at, "scheduled", "", "the time that it is for, such as 2026-03-01, of this machine's zone (default: now)")
	c.Flags().BoolVar(&wait, "wait", false, "print its log until it has ended")
	r.flag(c)
	return c
}

// followRun prints the log of a run to its end.
func followRun(ctx context.Context, server *client.Client, id string, asJSON bool) error {
	show := printLogLine(false)
	if asJSON {
		show = func(*api.LogLine) error { return nil }
	}
	if err := server.RunLog(ctx, id, 0, true, show); err != nil {
		return err
	}
	run, err := server.Run(ctx, id)
	if err != nil {
		return err
	}
	if asJSON {
		if err := printLine(run); err != nil {
			return unprinted(err)
		}
	}
	if run.State != string(schedule.Complete) {
		why := run.Error
		if why == "" {
			why = run.Reason
		}
		return fmt.Errorf("run %s is %s: %s", id, run.State, why)
	}
	return nil
}

func newSchedulePause(use, short, long, done string, do func(*client.Client, context.Context, string) (*api.Schedule, error)) *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: use, Short: short, Long: long + remoteExits, Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				for _, name := range args {
					s, err := do(server, ctx, name)
					if err != nil {
						return err
					}
					if !r.json {
						fmt.Printf("%s %s\n", name, done)
					} else if err := printLine(s); err != nil {
						return unprinted(err)
					}
				}
				return nil
			})
		},
	}
	r.flag(c)
	return c
}

func newScheduleBackfill() *cobra.Command {
	var r remote
	var in api.BackfillRequest
	c := &cobra.Command{
		Use: "backfill NAME --from TIME --to TIME", Short: "Run a schedule for its times of a range",
		Long: `Run a schedule for its times of a range, oldest first and one at a time, also for those
that have run before: a pipeline then replaces what it has written for them. Times that
come by the clock meanwhile go first. It prints an id, which cancel takes.` + remoteExits,
		Example: examplesText("rpipe schedule backfill nightly --from 2026-03-01 --to 2026-03-08"),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				b, err := server.BackfillSchedule(ctx, args[0], in)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printLine(b))
				}
				fmt.Fprintln(os.Stderr, numbered(b.Times, "run")+" to come")
				fmt.Println(b.ID)
				return nil
			})
		},
	}
	c.Flags().StringVar(&in.From, "from", "", "from this date or time on, in the schedule's zone")
	c.Flags().StringVar(&in.To, "to", "", "before this date or time")
	c.MarkFlagRequired("from") //nolint:errcheck // the flag is there
	c.MarkFlagRequired("to")   //nolint:errcheck // the flag is there
	r.flag(c)
	return c
}

func newScheduleCancel() *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "cancel ID...", Short: "Cancel runs, waiting or under way, or backfills",
		Long:    "Cancel runs, waiting or under way, or backfills. What is under way ends a moment later." + remoteExits,
		Example: examplesText("rpipe schedule cancel 01kdvdrz60chjmm4vfc2cwtgd3"),
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				for _, id := range args {
					o, err := server.CancelRun(ctx, id)
					if err != nil {
						return err
					}
					if !r.json {
						fmt.Printf("%s is to end\n", id)
					} else if err := printLine(o); err != nil {
						return unprinted(err)
					}
				}
				return nil
			})
		},
	}
	r.flag(c)
	return c
}
