package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

// submitFlags are those of rpipe task submit.
type submitFlags struct {
	fun, expr, file, call                       string
	args                                        []string
	over, rows                                  string
	at, delay, timeout, cpu, ttl, pause, memory string
	seed                                        int64
	wait                                        bool
	s                                           api.Submission
	retry                                       api.Retry
}

func newTaskSubmit() *cobra.Command {
	var r remote
	var f submitFlags
	c := &cobra.Command{
		Use:   "submit (--fun R | --expr R | --file FILE [--call NAME]) [--over ELEMENTS | --rows TABLE]",
		Short: "Submit one call of R, or one for each of many elements",
		Long: `Submit one call of R, or one for each of many elements, and print the id of the
job. With --wait it waits, shows how far it is, and prints the results.

What is run: --fun, a function or the name of one; --expr, an expression whose
variables are the arguments; --file, a script, whose function --call is called, or
which is the expression where that is left out.

Elements: --over 1:100, a JSON array, or @FILE with one (.json), or with an R list or
vector (.rds); the element is the first argument. --rows @FILE (.csv, .json, .rds): each
row is a task, and its columns are arguments by name.

Arguments for all: --arg name=VALUE, JSON or else text; --arg name=@FILE for a value
from .json or .rds; --arg name=task:ID for the result of a task, which is waited for.

Exit status: 0 submitted, or with --wait: all have a value; 1 refused; 2 a flag is
wrong; 3 no server answers; 4 with --wait: done, and some tasks failed.`,
		Example: examplesText(`
			rpipe task submit --fun 'function(x) x^2' --over 1:100 --wait
			rpipe task submit --file fit.R --call fit --rows @models.csv --arg data=@train.rds --queue long
			rpipe task submit --expr 'mean(x)' --arg 'x=[1,2,3]' --name nightly --label team=risk
			rpipe task submit --fun report --env reports --after 01jd3x7v9qk2m4n6p8r0s2t4v6 --timeout 1h --attempts 3`),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("seed") {
				f.s.Seed = &f.seed
			}
			if err := f.fill(); err != nil {
				return err
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				return f.submit(ctx, server, &r)
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.fun, "fun", "", "function: R source text, or a name such as stats::rnorm")
	flags.StringVar(&f.expr, "expr", "", "expression: R source text")
	flags.StringVar(&f.file, "file", "", "R script")
	flags.StringVar(&f.call, "call", "", "function that the script of --file defines")
	flags.StringArrayVar(&f.args, "arg", nil, "argument name=VALUE for all tasks; may be repeated")
	flags.StringVar(&f.over, "over", "", "elements: FROM:TO, a JSON array, or @FILE")
	flags.StringVar(&f.rows, "rows", "", "table: @FILE, each row a task")
	flags.StringVar(&f.s.Name, "name", "", "name, to find the job by")
	flags.StringToStringVar(&f.s.Labels, "label", nil, "label name=value; may be repeated")
	flags.StringVar(&f.s.Queue, "queue", "", "queue (default: default)")
	flags.StringVar(&f.s.Priority, "priority", "", "high, normal or low (default: normal)")
	flags.BoolVar(&f.s.Front, "front", false, "before all others of the queue")
	flags.StringSliceVar((*[]string)(&f.s.DependsOn), "after", nil, "tasks or jobs that must be COMPLETE first")
	flags.StringVar(&f.at, "at", "", "not before this time, such as 2026-11-22 22:00")
	flags.StringVar(&f.delay, "delay", "", "not before so long from now, such as 10m")
	flags.StringVar(&f.timeout, "timeout", "", "how long one attempt may run, such as 30m")
	flags.IntVar(&f.retry.Errors, "attempts", 0, "attempts in all where R signals an error (default 1)")
	flags.IntVar(&f.retry.Lost, "lost", 0, "attempts in all where its process or machine dies (default 3)")
	flags.IntVar(&f.retry.Timeouts, "timeouts", 0, "attempts in all where it takes too long (default 1)")
	flags.StringSliceVar((*[]string)(&f.retry.Classes), "retry-on", nil, "classes of R conditions that are tried again (default: all)")
	flags.StringVar(&f.pause, "retry-delay", "", "pause before the second attempt, twice as long before each further one (default 1s)")
	flags.BoolVar(&f.s.Isolate, "isolate", false, "each task in a process of its own")
	flags.StringVar(&f.memory, "memory", "", "resident memory that a task may have, such as 2GiB")
	flags.StringVar(&f.cpu, "cpu", "", "processor time of one attempt, such as 10m")
	flags.Int64Var(&f.seed, "seed", 0, "seed of random numbers: results do not depend on the workers")
	flags.IntVar(&f.s.MaxRunning, "max-running", 0, "how many of its tasks may run at a time (0: no limit)")
	flags.StringVar(&f.s.Environment, "env", "", "environment that the tasks run in, NAME or NAME@VERSION (default: default)")
	flags.StringSliceVar((*[]string)(&f.s.Packages), "package", nil, "packages that are attached before")
	flags.StringVar(&f.s.Key, "key", "", "idempotency key: a second submission with it is the first one")
	flags.StringVar(&f.ttl, "ttl", "", "how long the records stay after the end, such as 30d")
	flags.BoolVar(&f.wait, "wait", false, "wait for the end, and print the results")
	c.MarkFlagsOneRequired("fun", "expr", "file")
	c.MarkFlagsMutuallyExclusive("fun", "expr", "file")
	c.MarkFlagsMutuallyExclusive("over", "rows")
	c.MarkFlagsMutuallyExclusive("at", "delay")
	r.flag(c)
	return c
}

// fill makes the submission of the flags.
func (f *submitFlags) fill() error {
	s := &f.s
	text := func(t string) *api.Value {
		b, _ := json.Marshal(t)
		return &api.Value{JSON: b}
	}
	switch {
	case f.fun != "":
		s.Fun = text(f.fun)
	case f.expr != "":
		s.Expr = text(f.expr)
	case f.file == "":
		return errors.New("what R is to do is empty: give --fun, --expr or --file something")
	default:
		b, err := os.ReadFile(f.file)
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		if f.call != "" {
			s.Fun = text("local({\n" + string(b) + "\n" + f.call + "\n})")
		} else {
			s.Expr = text("{\n" + string(b) + "\n}")
		}
	}
	if f.call != "" && f.file == "" {
		return errors.New("--call names a function of the script in --file, which is missing")
	}
	for _, a := range f.args {
		arg, err := parseArg(a)
		if err != nil {
			return err
		}
		s.Args = append(s.Args, arg)
		if arg.Value.Task != "" {
			s.DependsOn = append(s.DependsOn, arg.Value.Task)
		}
	}
	var err error
	switch {
	case f.over != "":
		if s.Over, err = parseOver(f.over); err != nil {
			return fmt.Errorf("--over %s: %w", brief(f.over, 40), err)
		}
	case f.rows != "":
		s.Rows = true
		if s.Over, err = readRows(f.rows); err != nil {
			return fmt.Errorf("--rows %s: %w", f.rows, err)
		}
	}
	if f.at != "" {
		at, err := parseWhen("--at", f.at, 1)
		if err != nil {
			return err
		}
		s.RunAt = &at
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"attempts", f.retry.Errors}, {"lost", f.retry.Lost}, {"timeouts", f.retry.Timeouts}, {"max-running", s.MaxRunning}} {
		if n.value < 0 {
			return fmt.Errorf("--%s %d is less than 0", n.name, n.value)
		}
	}
	if f.retry.Errors+f.retry.Lost+f.retry.Timeouts+len(f.retry.Classes) > 0 || f.pause != "" {
		s.Retry = &f.retry
	}
	for _, d := range []struct {
		name, text string
		to         *api.Duration
	}{{"delay", f.delay, &s.Delay}, {"timeout", f.timeout, &s.Timeout}, {"cpu", f.cpu, &s.CPU}, {"ttl", f.ttl, &s.ResultTTL}, {"retry-delay", f.pause, &f.retry.Delay}} {
		value, err := optionalDuration(d.name, d.text)
		if err != nil {
			return err
		}
		*d.to = api.Duration(value)
	}
	size, err := optionalSize("memory", f.memory)
	if size != nil {
		s.Memory = api.Size(*size)
	}
	return err
}

func (f *submitFlags) submit(ctx context.Context, server *client.Client, r *remote) error {
	var err error
	if f.s.DependsOn, err = resolve(ctx, server, f.s.DependsOn); err != nil {
		return err
	}
	if f.s.Over != nil {
		if err := upload(ctx, server, f.s.Over); err != nil {
			return err
		}
	}
	for i := range f.s.Args {
		if err := upload(ctx, server, &f.s.Args[i].Value); err != nil {
			return err
		}
		if task := &f.s.Args[i].Value.Task; *task != "" {
			ids, err := resolve(ctx, server, []string{*task})
			if err != nil {
				return err
			}
			*task = ids[0]
		}
	}
	job, err := server.Submit(ctx, &f.s)
	if err != nil {
		return err
	}
	if !f.wait {
		if r.json {
			return unprinted(printJSON(job))
		}
		if _, err := fmt.Println(job.ID); err != nil {
			return unprinted(err)
		}
		what := fmt.Sprintf("submitted %d tasks", job.N)
		switch {
		case job.Existing:
			what = "there is a job with this key already"
		case job.N == 1:
			what = "submitted a task"
		}
		fmt.Fprintf(os.Stderr, "%s; wait for it with: rpipe task wait %s\n", what, job.ID)
		return nil
	}
	end, err := await(ctx, server, api.WaitRequest{IDs: []string{job.ID}}, 0)
	if err != nil {
		return err
	}
	var told exitCode // of tasks without a value
	if err := printResults(ctx, server, job.ID, r.json, job.Array); err != nil && !errors.As(err, &told) {
		return err
	}
	return waitExit(end)
}

var sequence = regexp.MustCompile(`^(-?\d{1,9}):(-?\d{1,9})$`)

// maxSequence is how many elements FROM:TO may have.
const maxSequence = 10_000_000

// parseOver reads the elements of --over.
func parseOver(text string) (*api.Value, error) {
	if m := sequence.FindStringSubmatch(text); m != nil {
		from, _ := strconv.Atoi(m[1])
		to, _ := strconv.Atoi(m[2])
		step := 1
		if to < from {
			step = -1
		}
		if (to-from)*step >= maxSequence {
			return nil, fmt.Errorf("has more than %d elements", maxSequence)
		}
		var b bytes.Buffer
		b.WriteByte('[')
		for i := from; ; i += step {
			b.WriteString(strconv.Itoa(i))
			if i == to {
				break
			}
			b.WriteByte(',')
		}
		b.WriteByte(']')
		return &api.Value{JSON: b.Bytes()}, nil
	}
	if path, ok := strings.CutPrefix(text, "@"); ok {
		return readValue(path)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal([]byte(text), &elements); err != nil {
		return nil, errors.New("is neither FROM:TO, such as 1:100, nor a JSON array, nor @FILE")
	}
	return &api.Value{JSON: []byte(text)}, nil
}

// parseArg reads an argument of --arg.
func parseArg(text string) (api.Arg, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return api.Arg{}, fmt.Errorf("--arg %q: want name=VALUE", brief(text, 40))
	}
	arg := api.Arg{Name: name}
	if path, file := strings.CutPrefix(value, "@"); file {
		v, err := readValue(path)
		if err != nil {
			return arg, fmt.Errorf("--arg %s: %w", name, err)
		}
		arg.Value = *v
		return arg, nil
	}
	if task, ok := strings.CutPrefix(value, "task:"); ok {
		arg.Value.Task = task
		return arg, nil
	}
	if json.Valid([]byte(value)) {
		arg.Value.JSON = []byte(value)
	} else {
		arg.Value.JSON, _ = json.Marshal(value)
	}
	return arg, nil
}

// readValue reads a value from a .json or .rds file.
func readValue(path string) (*api.Value, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".json":
		b, err := os.ReadFile(path)
		if err == nil && !json.Valid(b) {
			err = fmt.Errorf("%s is not JSON", path)
		}
		return &api.Value{JSON: b}, err
	case ".rds":
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		return &api.Value{Ref: toUpload + path}, nil
	default:
		return nil, fmt.Errorf("%s: values are read from .json and .rds files", path)
	}
}

// toUpload begins the reference of a value that is in a file still.
const toUpload = "file:"

// upload stores the value of a file, and refers to it.
func upload(ctx context.Context, server *client.Client, v *api.Value) error {
	path, ok := strings.CutPrefix(v.Ref, toUpload)
	if !ok {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, _, err := rdata.Decompress(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	stored, err := server.PutValue(ctx, plain)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v.Ref = stored.Ref
	return nil
}

// readRows reads the table of --rows.
func readRows(text string) (*api.Value, error) {
	path, ok := strings.CutPrefix(text, "@")
	if !ok {
		path = text
	}
	if strings.ToLower(filepath.Ext(path)) != ".csv" {
		return readValue(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	table, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(table) < 2 {
		return nil, errors.New("a header and at least one row are wanted")
	}
	return &api.Value{JSON: tableJSON(table[0], table[1:])}, nil
}

// tableJSON is a table as an array of objects. A column is of numbers where all its
// values are, of logicals where all are TRUE or FALSE, of text otherwise; an empty field
// and NA are missing.
func tableJSON(names []string, rows [][]string) []byte {
	missing := func(s string) bool { return s == "" || s == "NA" }
	kinds := make([]byte, len(names))
	for c := range names {
		kinds[c] = 'l'
		for _, row := range rows {
			if missing(row[c]) {
				continue
			}
			if row[c] != "TRUE" && row[c] != "FALSE" {
				kinds[c] = 'n'
			}
		}
		for _, row := range rows {
			if kinds[c] == 'n' && !missing(row[c]) && !isNumber(row[c]) {
				kinds[c] = 't'
			}
		}
	}
	var b bytes.Buffer
	for i, row := range rows {
		b.WriteString([]string{"[{", ",{"}[min(i, 1)])
		for c, name := range names {
			if c > 0 {
				b.WriteByte(',')
			}
			key, _ := json.Marshal(name)
			b.Write(key)
			b.WriteByte(':')
			switch {
			case missing(row[c]):
				b.WriteString("null")
			case kinds[c] == 'l':
				b.WriteString(strings.ToLower(row[c]))
			case kinds[c] == 'n':
				b.WriteString(row[c])
			default:
				value, _ := json.Marshal(row[c])
				b.Write(value)
			}
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.Bytes()
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && json.Valid([]byte(s))
}

// waitExit is the exit status of what was waited for.
func waitExit(end *api.WaitResult) error {
	failed := int64(0)
	for s, n := range end.States {
		if s != "COMPLETE" && s != "MOVED" {
			failed += n
		}
	}
	if failed > 0 {
		return exitCode(pipeline.ExitDeadLetters)
	}
	return nil
}

// await waits, and shows on a terminal how far it is; a limit of 0 is none.
func await(ctx context.Context, server *client.Client, w api.WaitRequest, limit time.Duration) (*api.WaitResult, error) {
	bar := newTaskBar()
	defer bar.clear()
	deadline := time.Now().Add(limit)
	for {
		step := 30 * time.Second
		if bar.live {
			step = 250 * time.Millisecond
		}
		if limit > 0 {
			step = min(step, max(time.Until(deadline), time.Millisecond))
		}
		w.Timeout = api.For(step)
		end, err := server.Wait(ctx, w)
		if err != nil {
			if ctx.Err() != nil {
				bar.clear()
				fmt.Fprintf(os.Stderr, "not waiting any more; the tasks go on: rpipe task wait %s\n", brief(strings.Join(w.IDs, " "), 60))
			}
			return nil, err
		}
		bar.draw(end)
		if end.Done {
			return end, nil
		}
		if limit > 0 && !time.Now().Before(deadline) {
			return nil, fmt.Errorf("not done within %s: %s", limit, counted(end.States))
		}
	}
}
