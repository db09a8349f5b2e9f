package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newTask() *cobra.Command {
	return group("task", "Submit R tasks to a task server, follow and collect them",
		`Submit R tasks to a task server (rpipe serve), follow and collect them.

A submission is a job: one call of R, or one for each of many elements. Each call is a
task, whose id is that of its job, a dot and its number. Wherever an ID is wanted, that
of a job stands for all of its tasks, and a job's name for the newest of that name.

The server is the one that runs on this machine, or that of --url or RPIPE_URL.`,
		`
			rpipe task submit --fun 'function(x) x^2' --over 1:100 --name squares
			rpipe task wait squares
			rpipe task result squares
			rpipe task list --status ERROR
			rpipe task log -f 01jd3x7v9qk2m4n6p8r0s2t4v6.1`,
		newTaskSubmit(), newTaskList(), newTaskStatus(), newTaskWait(), newTaskResult(), newTaskLog(),
		newTaskCancel(), newTaskRetry(), newTaskResume(), newTaskRemove())
}

// filterFlags choose tasks or jobs.
type filterFlags struct {
	f             client.Filter
	states        []string
	labels        map[string]string
	since, before string
	limit         int
}

func (f *filterFlags) flag(c *cobra.Command) {
	flags := c.Flags()
	flags.StringSliceVar(&f.states, "status", nil, "in these states, such as PENDING,RUNNING or ERROR")
	flags.StringVar(&f.f.Queue, "queue", "", "of this queue")
	flags.StringVar(&f.f.Name, "name", "", "of jobs of this name")
	flags.StringToStringVar(&f.labels, "label", nil, "with this label, name=value; may be repeated")
	flags.StringVar(&f.f.Worker, "worker", "", "that this worker has")
	flags.StringVar(&f.f.Owner, "owner", "", "of this owner, for whoever may see those of others")
	flags.StringVar(&f.f.Text, "search", "", "with this text in name, labels or error message")
	flags.StringVar(&f.since, "since", "", "submitted since then: 2026-11-22T08:00:00Z, or how long ago, such as 2h or 7d")
	flags.StringVar(&f.before, "before", "", "submitted before then")
	flags.IntVar(&f.limit, "limit", 50, "how many at most; 0 is all")
	flags.BoolVar(&f.f.Oldest, "oldest", false, "the oldest first")
}

func (f *filterFlags) filter() (client.Filter, error) {
	filter := f.f
	for _, s := range f.states {
		filter.States = append(filter.States, strings.ToUpper(s))
	}
	filter.Labels = f.labels
	var err error
	if filter.Since, err = parseWhen("--since", f.since, -1); err != nil {
		return filter, err
	}
	filter.Until, err = parseWhen("--before", f.before, -1)
	return filter, err
}

func newTaskList() *cobra.Command {
	var r remote
	var f filterFlags
	var jobs, count bool
	c := &cobra.Command{
		Use: "list", Short: "List tasks, jobs, or how many there are",
		Long: `List tasks, the newest first; with --jobs the jobs that they belong to, with --count
only how many there are in which state.` + remoteExits,
		Example: examplesText(`
			rpipe task list --status RUNNING
			rpipe task list --jobs --since 1d
			rpipe task list --count --queue long
			rpipe task list --status ERROR --limit 0 --json | jq -r .id`),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := f.filter()
			if err != nil {
				return err
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				switch {
				case count:
					return listCounts(ctx, server, filter, r.json)
				case jobs:
					return listJobs(ctx, server, filter, f.limit, r.json)
				}
				return listTasks(ctx, server, filter, f.limit, r.json)
			})
		},
	}
	f.flag(c)
	c.Flags().BoolVar(&jobs, "jobs", false, "jobs in place of tasks")
	c.Flags().BoolVar(&count, "count", false, "how many there are in which state")
	c.MarkFlagsMutuallyExclusive("jobs", "count")
	r.flag(c)
	return c
}

// pageSize is how many are asked for at a time.
const pageSize = 1000

func listTasks(ctx context.Context, server *client.Client, f client.Filter, limit int, asJSON bool) error {
	return list(f, limit, asJSON, "tasks", "ID\tSTATUS\tNAME\tQUEUE\tSUBMITTED\tRAN\tWORKER\tNOTE",
		func(f client.Filter) ([]api.Task, string, error) {
			page, err := server.Tasks(ctx, f)
			if err != nil {
				return nil, "", err
			}
			return page.Tasks, page.Next, nil
		},
		func(t *api.Task) []any {
			return []any{t.ID, t.State, dash(brief(cell(t.Name), 40)), t.Queue, since(t.Submitted), ran(t.Started, t.Ended), dash(t.Worker), cell(note(t))}
		})
}

func listJobs(ctx context.Context, server *client.Client, f client.Filter, limit int, asJSON bool) error {
	return list(f, limit, asJSON, "jobs", "ID\tNAME\tSTATE\tTASKS\tQUEUE\tSUBMITTED\tRAN\tOWNER",
		func(f client.Filter) ([]api.Job, string, error) {
			page, err := server.Jobs(ctx, f)
			if err != nil {
				return nil, "", err
			}
			return page.Jobs, page.Next, nil
		},
		func(j *api.Job) []any {
			return []any{j.ID, dash(brief(cell(j.Name), 40)), j.State, counted(j.States), j.Queue, since(&j.Created), ran(j.Started, j.Ended), cell(j.Owner)}
		})
}

// list prints page after page of what ask answers, at most limit, 0 for all: as lines of
// JSON, or as a table.
func list[T any](f client.Filter, limit int, asJSON bool, what, head string, ask func(client.Filter) ([]T, string, error), columns func(*T) []any) error {
	w := newTable()
	line := strings.Repeat("%v\t", strings.Count(head, "\t")) + "%v\n"
	shown, more := 0, true
	for more && (limit == 0 || shown < limit) {
		f.Limit = pageSize
		if limit > 0 {
			f.Limit = min(pageSize, limit-shown)
		}
		page, next, err := ask(f)
		if err != nil {
			return err
		}
		for i := range page {
			if asJSON {
				if err := printLine(&page[i]); err != nil {
					return unprinted(err)
				}
				continue
			}
			if shown+i == 0 {
				fmt.Fprintln(w, head)
			}
			fmt.Fprintf(w, line, columns(&page[i])...)
		}
		shown += len(page)
		f.After, more = next, next != ""
		if err := w.Flush(); err != nil {
			return unprinted(err)
		}
	}
	tellMore(shown, more, asJSON, what)
	return nil
}

// tellMore says on stderr that there are none, or more than were shown.
func tellMore(shown int, more, asJSON bool, what string) {
	switch {
	case shown == 0 && !asJSON:
		fmt.Fprintf(os.Stderr, "there are no such %s\n", what)
	case more:
		fmt.Fprintf(os.Stderr, "there are more %s: --limit 0 shows all\n", what)
	}
}

func listCounts(ctx context.Context, server *client.Client, f client.Filter, asJSON bool) error {
	counts, err := server.Counts(ctx, f)
	if err != nil {
		return err
	}
	if asJSON {
		return unprinted(printJSON(counts))
	}
	w := newTable()
	for _, s := range stateOrder(counts.States) {
		fmt.Fprintf(w, "%s\t%d\n", s, counts.States[s])
	}
	fmt.Fprintf(w, "all\t%d\n", counts.Total)
	return unprinted(w.Flush())
}

// note is what is worth knowing of a task beside its state.
func note(t *api.Task) string {
	switch {
	case t.MovedTo != "":
		return "retried as " + t.MovedTo
	case t.Failure != nil && t.Failure.Message != "":
		line, _, _ := strings.Cut(t.Failure.Message, "\n")
		return brief(line, 60)
	case t.Held && t.NotBefore != nil && t.NotBefore.After(time.Now()):
		return "not before " + t.NotBefore.Local().Format(time.DateTime)
	case t.Held:
		return "held by a limit"
	case t.Attempt > 1:
		return fmt.Sprintf("attempt %d", t.Attempt)
	}
	return ""
}
