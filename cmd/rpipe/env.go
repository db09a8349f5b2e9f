package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

func newEnv() *cobra.Command {
	return group("env", "Set what R has loaded for tasks: packages, sources, options",
		"Set the environments of a task server: packages, sources, set-up code, options and\nenvironment variables that R has before a task. Tasks that begin after a change have its\nnext version; what runs goes on.", `
			rpipe env set models --package data.table --source models.R
			rpipe task submit --env models --fun predict_all
			rpipe env show models
			rpipe env list
			rpipe env rm models`,
		newEnvList(), newEnvSet(), newEnvShow(), newRemove("rm NAME...", "Delete environments, all versions",
			"Delete environments with all of their versions. Tasks that need one end with an error that\nsays so.",
			func(ctx context.Context, s *client.Client, name string) error { return s.DeleteEnvironment(ctx, name) }))
}

func newEnvList() *cobra.Command {
	return newShow("list", "List environments", "List environments, of their newest versions.", cobra.NoArgs,
		func(ctx context.Context, s *client.Client, _ []string) (any, error) {
			list, err := s.Environments(ctx)
			if err != nil {
				return nil, err
			}
			return list.Environments, nil
		}, func(v any) error {
			w := newTable()
			fmt.Fprintln(w, "NAME\tVERSION\tOWNER\tSET\tPACKAGES\tSOURCES")
			for _, e := range v.([]api.Environment) {
				var sources []string
				for _, s := range e.Sources {
					sources = append(sources, s.Name)
				}
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", e.Name, e.Version, cell(e.Owner), since(e.Created),
					brief(strings.Join(e.Packages, ","), 40), cell(brief(strings.Join(sources, ","), 40)))
			}
			return w.Flush()
		})
}

func newEnvShow() *cobra.Command {
	return newShow("show NAME", "Print an environment as JSON", "Print an environment as JSON: its newest version, or that of NAME@VERSION.", cobra.ExactArgs(1),
		func(ctx context.Context, s *client.Client, args []string) (any, error) {
			return s.Environment(ctx, args[0])
		}, nil)
}

func newEnvSet() *cobra.Command {
	var r remote
	var e api.Environment
	var sources, paths, options, vars []string
	var setup string
	c := &cobra.Command{
		Use: "set NAME", Short: "Make the next version of an environment",
		Long: `Make the next version of an environment: all of it, what is not named is not in it. Where
nothing differs from the newest version, that stays.` + remoteExits,
		Example: examplesText(`
			rpipe env set models --package data.table,glmnet --source models.R
			rpipe env set big --path /shared/model.R --option digits=10 --var OMP_NUM_THREADS=1`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := fillEnvironment(&e, sources, paths, options, vars, setup); err != nil {
				return err
			}
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				made, err := server.SetEnvironment(ctx, args[0], &e)
				if err != nil {
					return err
				}
				if r.json {
					return unprinted(printLine(made))
				}
				_, err = fmt.Printf("%s@%d\n", made.Name, made.Version)
				return unprinted(err)
			})
		},
	}
	f := c.Flags()
	f.StringSliceVar(&e.Packages, "package", nil, "package to attach; several with commas, or the flag again")
	f.StringArrayVar(&sources, "source", nil, "R file of this machine to source, which is sent; the flag again for more, in order")
	f.StringArrayVar(&paths, "path", nil, "absolute path of an R file on the workers' machines")
	f.StringVar(&setup, "setup", "", "R code to run after the sources, or @FILE")
	f.StringArrayVar(&options, "option", nil, "name=value of options(), the value an R expression")
	f.StringArrayVar(&vars, "var", nil, "NAME=VALUE of an environment variable")
	f.StringVar(&e.Dir, "dir", "", "working directory on the workers' machines (default: the worker's own)")
	r.flag(c)
	return c
}

func fillEnvironment(e *api.Environment, sources, paths, options, vars []string, setup string) (err error) {
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("--source: %w", err)
		}
		e.Sources = append(e.Sources, api.Source{Name: filepath.Base(path), Text: string(text)})
	}
	for _, path := range paths {
		e.Sources = append(e.Sources, api.Source{Path: path})
	}
	if e.Setup = setup; strings.HasPrefix(setup, "@") {
		text, err := os.ReadFile(setup[1:])
		if err != nil {
			return fmt.Errorf("--setup: %w", err)
		}
		e.Setup = string(text)
	}
	if e.Options, err = pairs("option", options); err != nil {
		return err
	}
	e.Env, err = pairs("var", vars)
	return err
}

// pairs are name=value of a flag.
func pairs(flag string, all []string) (map[string]string, error) {
	var m map[string]string
	for _, text := range all {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--%s %q: give NAME=VALUE", flag, text)
		}
		if m == nil {
			m = map[string]string{}
		}
		m[name] = value
	}
	return m, nil
}

// newShow asks for something and prints it: as JSON, where table is nil always.
func newShow(use, short, long string, args cobra.PositionalArgs, ask func(context.Context, *client.Client, []string) (any, error), table func(any) error) *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: use, Short: short, Long: long + remoteExits, Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				v, err := ask(ctx, server, args)
				if err != nil {
					return err
				}
				if r.json || table == nil {
					return unprinted(printJSON(v))
				}
				return unprinted(table(v))
			})
		},
	}
	r.flag(c)
	return c
}

// newRemove deletes things by their names.
func newRemove(use, short, long string, do func(context.Context, *client.Client, string) error) *cobra.Command {
	var r remote
	c := &cobra.Command{
		Use: use, Short: short, Long: long + remoteExits, Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c, func(ctx context.Context, server *client.Client) error {
				var errs []error
				for _, name := range args {
					if err := do(ctx, server, name); err != nil {
						errs = append(errs, fmt.Errorf("%s: %w", name, err))
						continue
					}
					if r.json {
						errs = append(errs, printLine(api.Deleted{Deleted: name}))
					} else {
						fmt.Printf("%s deleted\n", name)
					}
				}
				return errors.Join(errs...)
			})
		},
	}
	r.flag(c)
	return c
}
