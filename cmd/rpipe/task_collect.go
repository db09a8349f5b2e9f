package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newTaskStatus() *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: "status ID...", Short: "Say what became of tasks or jobs",
		Long: `Say what became of tasks or jobs: state, attempts, where it runs or ran, what it took,
and why it failed, with R's traceback. MISSING is what nobody knows, or what is another's.

Exit status: 0 told; 1 one of them is MISSING; 3 no server answers.`,
		Example: examplesText(`
			rpipe task status nightly
			rpipe task status 01jd3x7v9qk2m4n6p8r0s2t4v6.1 --json`),
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				ids, err := resolve(ctx, server, args)
				if err != nil {
					return err
				}
				missing := false
				for i, id := range ids {
					if i > 0 && !r.json {
						fmt.Println()
					}
					gone, err := printStatus(ctx, server, id, r.json)
					if err != nil {
						return err
					}
					missing = missing || gone
				}
				if missing {
					return exitCode(pipeline.ExitFailed)
				}
				return nil
			})
		},
	}
	r.flag(c)
	return c
}

// printStatus prints a task, or a job and, where it has just one, its task.
func printStatus(ctx context.Context, server *client.Client, id string, asJSON bool) (missing bool, err error) {
	if isJob(id) {
		j, err := server.Job(ctx, id)
		switch {
		case notFound(err):
			return true, printMissing(id, asJSON)
		case err != nil:
			return false, err
		case asJSON:
			return false, unprinted(printLine(j))
		case j.N > 1 || j.Array:
			return false, unprinted(printJob(j))
		}
		id += ".1"
	}
	t, err := server.Task(ctx, id)
	switch {
	case notFound(err), err == nil && t.State == "MISSING":
		return true, printMissing(id, asJSON)
	case err != nil:
		return false, err
	case asJSON:
		return false, unprinted(printLine(t))
	}
	return false, unprinted(printTask(t))
}

func notFound(err error) bool {
	var fault *api.Fault
	return errors.As(err, &fault) && fault.Status == 404
}

func printMissing(id string, asJSON bool) error {
	if asJSON {
		return unprinted(printLine(map[string]string{"id": id, "state": "MISSING"}))
	}
	_, err := fmt.Printf("%s  MISSING\n", id)
	return unprinted(err)
}

func printJob(j *api.Job) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "job\t%s\n", j.ID)
	row(w, "name", j.Name)
	row(w, "state", j.State)
	row(w, "tasks", fmt.Sprintf("%d: %s", j.N, counted(j.States)))
	row(w, "queue", j.Queue)
	row(w, "owner", j.Owner)
	row(w, "submitted", when(&j.Created))
	row(w, "started", when(j.Started))
	row(w, "ended", when(j.Ended))
	row(w, "retry of", j.RetriedFrom)
	row(w, "after", strings.Join(j.DependsOn, " "))
	return w.Flush()
}

func printTask(t *api.Task) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "task\t%s\n", t.ID)
	row(w, "name", t.Name)
	row(w, "state", t.State)
	if t.Ahead != nil && t.State == "PENDING" && !t.Held {
		row(w, "in the queue", fmt.Sprintf("%d before it", *t.Ahead))
	}
	if t.Held {
		row(w, "held", note(t))
	}
	row(w, "queue", t.Queue+", "+t.Priority)
	row(w, "owner", t.Owner)
	row(w, "submitted", when(t.Submitted))
	row(w, "started", when(t.Started))
	row(w, "ended", when(t.Ended))
	row(w, "ran", strings.TrimPrefix(ran(t.Started, t.Ended), "-"))
	if t.Worker != "" {
		row(w, "worker", fmt.Sprintf("%s on %s, pid %d", t.Worker, t.Host, t.Pid))
	}
	if u := t.Usage; u != nil {
		row(w, "used", usageText(u))
	}
	for i, a := range t.Past {
		if i < len(t.Past)-1 || a.Cause != "done" && t.State != "ERROR" {
			line, _, _ := strings.Cut(a.Message, "\n")
			row(w, fmt.Sprintf("attempt %d", t.Attempt-len(t.Past)+1+i), strings.TrimSuffix(fmt.Sprintf("%s on %s: %s", a.Cause, a.Host, line), ": "))
		}
	}
	row(w, "retried as", t.MovedTo)
	row(w, "retry of", t.MovedFrom)
	if err := w.Flush(); err != nil {
		return err
	}
	if f := t.Failure; f != nil {
		fmt.Printf("\n%s\n", plain(failureText(f)))
	}
	for _, warning := range t.Warnings {
		fmt.Printf("Warning: %s\n", plain(warning))
	}
	return nil
}

func usageText(u *api.Usage) string {
	text := fmt.Sprintf("%.2fs user, %.2fs system", time.Duration(u.User).Seconds(), time.Duration(u.System).Seconds())
	if u.PeakRSS > 0 {
		text += ", " + memory(int64(u.PeakRSS)) + " at its peak"
	}
	return text
}

func row(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%s\t%s\n", name, cell(value))
	}
}

func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime) + ", " + since(t)
}

// failureText is a failure as R would tell it.
func failureText(f *api.Failure) string {
	var b strings.Builder
	if f.Call != "" {
		fmt.Fprintf(&b, "Error in %s : %s", f.Call, f.Message)
	} else {
		b.WriteString("Error: " + f.Message)
	}
	for i := len(f.Traceback) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "\n  %d: %s", i+1, f.Traceback[i])
	}
	return b.String()
}

func newTaskWait() *cobra.Command {
	var r remote
	var first, anyOf bool
	var timeout string
	c := &cobra.Command{
		Use: "wait ID...", Short: "Wait for the end of tasks or jobs",
		Long: `Wait for the end of tasks or jobs: of all, of --any, or until the first has failed.
What was retried is followed. On a terminal a bar shows how far it is.

Exit status: 0 all have a value; 1 not within --timeout, or one is not known; 3 no server
answers; 4 done, and some have no value; 130 interrupted: the tasks go on.`,
		Example: examplesText(`
			rpipe task wait nightly
			rpipe task wait --first-error --timeout 1h 01jd3x7v9qk2m4n6p8r0s2t4v6`),
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			limit, err := optionalDuration("timeout", timeout)
			if err != nil {
				return err
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				ids, err := resolve(ctx, server, args)
				if err != nil {
					return err
				}
				w := api.WaitRequest{IDs: ids, Until: "all"}
				switch {
				case anyOf:
					w.Until = "any"
				case first:
					w.Until = "first_error"
				}
				end, err := await(ctx, server, w, limit)
				if err != nil {
					return err
				}
				if r.json {
					if err := unprinted(printJSON(end)); err != nil {
						return err
					}
				} else if end.Total > 0 {
					if _, err := fmt.Println(counted(end.States)); err != nil {
						return unprinted(err)
					}
				}
				if len(end.Missing) > 0 {
					fmt.Fprintf(os.Stderr, "rpipe: not known: %s\n", strings.Join(end.Missing, " "))
					return exitCode(pipeline.ExitFailed)
				}
				if anyOf {
					return nil
				}
				return waitExit(end)
			})
		},
	}
	c.Flags().BoolVar(&anyOf, "any", false, "until one ID has ended; a job has when all of its tasks have")
	c.Flags().BoolVar(&first, "first-error", false, "until one has failed, or all have ended")
	c.Flags().StringVar(&timeout, "timeout", "", "how long at most, such as 10m (default: for ever)")
	c.MarkFlagsMutuallyExclusive("any", "first-error")
	r.flag(c)
	return c
}

func newTaskResult() *cobra.Command {
	var r remote
	var rds, zip string
	c := &cobra.Command{
		Use: "result ID", Short: "Print or save the result of a task, or those of a job",
		Long: `Print the result of a task as JSON, or those of a job, a line each: those that are
there, at any time. What JSON cannot hold, such as a function or a model, is saved with
--rds (readRDS() in R), or for a job with --zip, a file each with a table of states.

Exit status: 0 printed; 1 not known, or a task that has no value: the reason is told;
3 no server answers; 4 some tasks of the job have none.`,
		Example: examplesText(`
			rpipe task result squares | jq '.value'
			rpipe task result 01jd3x7v9qk2m4n6p8r0s2t4v6 --rds model.rds
			rpipe task result nightly --zip nightly.zip`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				ids, err := resolve(ctx, server, args)
				if err != nil {
					return err
				}
				id := ids[0]
				if zip != "" {
					if !isJob(id) {
						return errors.New("--zip is for jobs: leave the number of the task out, or use --rds")
					}
					return saveFile(zip, func(w io.Writer) error { return server.Download(ctx, id, w) })
				}
				array := false
				if isJob(id) {
					j, err := server.Job(ctx, id)
					if err != nil {
						return err
					}
					if array = j.Array || j.N > 1; !array {
						id += ".1"
					}
				}
				switch {
				case rds != "" && array:
					return errors.New("--rds is for one task: name it, as in " + id + ".1, or use --zip")
				case rds != "":
					return saveFile(rds, func(w io.Writer) error { return copyResult(ctx, server, id, w) })
				}
				return printResults(ctx, server, id, r.json, array)
			})
		},
	}
	c.Flags().StringVar(&rds, "rds", "", "save the value of a task in this file")
	c.Flags().StringVar(&zip, "zip", "", "save the values of a job in this file")
	c.MarkFlagsMutuallyExclusive("rds", "zip")
	r.flag(c)
	return c
}

func copyResult(ctx context.Context, server *client.Client, id string, w io.Writer) error {
	value, err := server.Result(ctx, id)
	if err != nil {
		return err
	}
	defer value.Close()
	_, err = io.Copy(w, value)
	return err
}

// saveFile writes a file that appears when it is complete. What is no file, such as
// /dev/stdout or a named pipe, is written to as it is.
func saveFile(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(dirOf(path), ".rpipe-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// printResults prints the value of a task, or a line for each task of a job.
func printResults(ctx context.Context, server *client.Client, id string, asJSON, array bool) error {
	job, n, failed := id, 1, 0
	if !array {
		if at := strings.IndexByte(id, '.'); at > 0 {
			job = id[:at]
			fmt.Sscan(id[at+1:], &n)
		}
	}
	limit := 1
	if array {
		n, limit = 1, 0
	}
	found := false
	err := server.Results(ctx, job, n, limit, func(res *api.Result) error {
		found = true
		if res.State == "COMPLETE" && res.Value == nil { // null, which Go reads as none
			res.Value = &api.Value{JSON: []byte("null")}
		}
		switch {
		case array || asJSON:
			if res.State != "COMPLETE" {
				failed++
			}
			return printLine(res)
		case res.Value != nil:
			return printLine(res.Value)
		case res.Failure != nil:
			fmt.Fprintf(os.Stderr, "rpipe: task %s is %s\n%s\n", res.ID, res.State, plain(failureText(res.Failure)))
		default:
			fmt.Fprintf(os.Stderr, "rpipe: task %s is %s: it has no value yet\n", res.ID, res.State)
		}
		return exitCode(pipeline.ExitFailed)
	})
	switch {
	case err != nil:
		return err
	case !found && !array:
		return fmt.Errorf("there is no value of task %s: it has not ended, or there is no such task; rpipe task status says which", id)
	case failed > 0:
		return exitCode(pipeline.ExitDeadLetters)
	}
	return nil
}

func newTaskLog() *cobra.Command {
	var r remote
	var follow bool
	c := &cobra.Command{
		Use: "log ID", Short: "Print what a task has printed; with -f, as it comes",
		Long: `Print what a task has printed: stdout, messages and warnings of every attempt. With
-f also what is to come, until it has ended.` + remoteExits,
		Example: examplesText(`
			rpipe task log -f nightly`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				ids, err := resolve(ctx, server, args)
				if err != nil {
					return err
				}
				if isJob(ids[0]) {
					j, err := server.Job(ctx, ids[0])
					if err != nil {
						return err
					}
					if j.N > 1 {
						return fmt.Errorf("job %s has %d tasks: say which, as in %s.1", j.ID, j.N, args[0])
					}
					ids[0] += ".1"
				}
				return server.Log(ctx, ids[0], 0, follow, printLogLine(r.json))
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "also what is to come, until the task has ended")
	r.flag(c)
	return c
}

func printLogLine(asJSON bool) func(*api.LogLine) error {
	return func(l *api.LogLine) error {
		if asJSON {
			return printLine(l)
		}
		_, err := fmt.Println(l.Line)
		return err
	}
}
