package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/server"
)

// serveFlags are those of rpipe serve. All but config, logging and what is done in place
// of serving say what the file may say as well.
type serveFlags struct {
	config, listen, data, durability, nats, natsListen, tokens string
	pipelines                                                  string
	queues                                                     []string
	max                                                        int
	restore, imported, join                                    string
	insecure                                                   bool
	logging                                                    logFlags
}

func newServe() *cobra.Command {
	var f serveFlags
	var vars variables
	c := &cobra.Command{
		Use:   "serve [rpipe.yaml]",
		Short: "Run a task queue for R: REST API, durable store, workers",
		Long: `Run a task queue for R: a REST API on this machine, a durable store, and R workers in
one process. Nothing else needs to be installed. Tasks come from rpipe task, from R, and
from any program that speaks HTTP. With --pipelines it runs the pipelines of a directory too,
by their schedules or by hand.

Workers on other machines: --nats-listen gives the engine a port with TLS and keys of its
own, and --join FILE writes what rpipe worker needs there. A cluster of NATS servers in
place of the engine in the process: --nats nats://a,nats://b,nats://c.

SIGHUP reads rpipe.yaml again, and changes what can change without a restart. SIGINT and
SIGTERM finish the tasks under way, a second one stops at once. What was submitted stays: the next start goes on with it. Killing it loses nothing either.

Exit status: 0 stopped, 130 or 143 by a second signal; 1 the server failed; 2 the configuration is wrong; 3 the
environment is (no R, the port or the data directory is taken).`,
		Example: examplesText(`
			rpipe serve
			rpipe serve --queue short,long --max 8
			rpipe serve --nats-listen 0.0.0.0:7422 --join join.json   # workers elsewhere
			rpipe serve --pipelines pipelines/                        # by their schedules
			rpipe serve rpipe.yaml
			rpipe serve --restore backup/ --data /srv/rpipe           # and end`),
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.config = args[0]
			}
			file, problems := f.load(c, vars)
			problems.Format(os.Stderr, colored(os.Stderr))
			if len(problems.Errors()) > 0 {
				return exitCode(pipeline.ExitConfig)
			}
			switch {
			case f.restore != "":
				return f.move(server.Restore(c.Context(), file, f.restore), "restored from "+f.restore)
			case f.imported != "":
				return f.move(server.Import(c.Context(), file, f.imported), "imported from "+f.imported)
			}
			return f.serve(c.Context(), file, func() (*server.File, configs.Problems) { return f.load(c, vars) })
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.listen, "listen", "", "address of the REST API (default 127.0.0.1:7033)")
	flags.StringVar(&f.data, "data", "", "directory of the store (default: $RPIPE_DATA, or rpipe in the user's state directory)")
	flags.StringVar(&f.durability, "durability", "", "always, or interval:200ms, which is faster and loses that much at a power cut (default always)")
	flags.StringSliceVar(&f.queues, "queue", nil, "queues that this machine's workers take from, in order (default: default)")
	flags.IntVar(&f.max, "max", 0, "R processes on this machine at most (0: one for each core); -1 runs none here")
	flags.StringVar(&f.nats, "nats", "", "NATS servers in place of the engine in this process, with commas")
	flags.StringVar(&f.natsListen, "nats-listen", "", "address at which workers of other machines reach the engine, such as 0.0.0.0:7422")
	flags.StringVar(&f.join, "join", "", "file to write what rpipe worker --join needs; it is as secret as a password")
	flags.StringVar(&f.tokens, "tokens", "", "token store (default: $RPIPE_TOKENS, or rpipe/tokens.json in the user's configuration directory)")
	flags.StringVar(&f.pipelines, "pipelines", "", "directory of pipeline files to run, by their schedule or by hand")
	flags.StringVar(&f.restore, "restore", "", "put a backup into an empty data directory, and end")
	flags.StringVar(&f.imported, "import", "", "copy the store in this data directory into the servers of --nats, and end")
	flags.BoolVar(&f.insecure, "insecure", false, "listen elsewhere than on this machine without tokens: whoever reaches it runs code here")
	f.logging.flag(c)
	vars.flag(c)
	return c
}

// load makes the configuration of the file and the flags.
func (f *serveFlags) load(c *cobra.Command, vars variables) (*server.File, configs.Problems) {
	file, problems := server.Defaults(), configs.Problems(nil)
	if f.config != "" {
		file, problems = server.Load(f.config, vars)
		if len(problems.Errors()) > 0 {
			return file, problems
		}
	}
	given := c.Flags().Changed
	if given("listen") {
		file.Listen.Address = f.listen
	}
	if given("data") {
		file.Data = f.data
	}
	if given("durability") {
		file.Durability = f.durability
	}
	if given("queue") {
		file.Workers.Queues = f.queues
	}
	if given("max") {
		file.Workers.None, file.Workers.Max = f.max < 0, max(f.max, 0)
	}
	if given("nats") {
		file.NATS.URLs = splitList(f.nats)
	}
	if given("nats-listen") {
		file.NATS.Listen = f.natsListen
	}
	if given("tokens") {
		file.Tokens = f.tokens
	}
	if given("pipelines") {
		file.Pipelines.Dir = f.pipelines
		if dir, err := filepath.Abs(f.pipelines); err == nil && f.pipelines != "" { // not below the file's directory
			file.Pipelines.Dir = dir
		}
	}
	return file, append(problems, checkFlags(file)...)
}

// checkFlags holds what flags have said to the rules of the file, which itself was sound.
func checkFlags(file *server.File) configs.Problems {
	var problems configs.Problems
	check := func(prefix string, c configs.Checker) {
		c.Check(func(field, message, hint string) {
			path := prefix + field
			for _, flag := range [][2]string{
				{"listen.address", "--listen"}, {"durability", "--durability"}, {"workers.queues", "--queue"},
				{"nats.urls", "--nats"}, {"nats.listen", "--nats-listen"},
			} {
				if strings.HasPrefix(path, flag[0]) {
					path = flag[1]
				}
			}
			problems = append(problems, configs.Problem{Path: path, Message: message, Hint: hint})
		})
	}
	check("", file)
	check("listen.", &file.Listen)
	check("nats.", &file.NATS)
	return problems
}

// serve serves until a signal. SIGHUP reads the file again, with the same flags.
func (f *serveFlags) serve(ctx context.Context, file *server.File, reread func() (*server.File, configs.Problems)) error {
	var err error
	if file.Log.Config, err = f.logging.over(file.Log.Config); err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(file.Log.Least())
	log := file.Log.NewAt(os.Stderr, level)
	return serve(ctx, serviceOptions{
		log:    log,
		saying: "tasks under way are finished or given back",
		exit:   serveExit,
		start: func(ctx context.Context) (service, error) {
			s, err := server.Start(ctx, file, server.Options{
				Log: log, Version: version, Insecure: f.insecure, JoinFile: f.join, Level: level,
				Reread: func() (*server.File, configs.Problems) {
					next, problems := reread()
					if next != nil {
						next.Log.Config, _ = f.logging.over(next.Log.Config) // which have been checked
					}
					return next, problems
				},
			})
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		up:     func(s service) { log.Info("serving", "url", s.(*server.Server).URL()) },
		reload: func(s service, done func()) { s.(*server.Server).ReloadLater(done) },
	})
}

// move ends a command that has copied a store.
func (f *serveFlags) move(err error, done string) error {
	if err != nil {
		return untold(serveExit(err), err)
	}
	fmt.Fprintln(os.Stderr, done)
	return nil
}

func serveExit(err error) int {
	var config *server.ConfigError
	if errors.As(err, &config) {
		return pipeline.ExitConfig
	}
	return pipeline.ExitEnvironment
}
