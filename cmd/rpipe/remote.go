package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

// remote are the flags of commands that ask a task server.
type remote struct {
	options client.Options
	json    bool
}

const remoteExits = `

Exit status: 0 done; 1 it could not be done, such as for an id that is not known; 2 a
flag is wrong; 3 no server answers, or it wants another token.`

func (r *remote) flag(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&r.options.URL, "url", "", "task server (default: $RPIPE_URL, or the one that runs on this machine)")
	f.StringVar(&r.options.Token, "token", "", "token (default: $RPIPE_TOKEN); others can see it in the list of processes")
	f.StringVar(&r.options.CA, "ca", "", "file with the authority of the server's certificate (default: $RPIPE_CA, or the system's)")
	f.BoolVar(&r.json, "json", false, "print JSON")
}

// run connects, and calls f until it is done or interrupted. What it returns is told.
func (r *remote) run(c *cobra.Command, f func(ctx context.Context, server *client.Client) error) error {
	r.options.Agent = "rpipe/" + version
	server, err := client.Find(r.options)
	if err != nil {
		return untold(pipeline.ExitEnvironment, err)
	}
	ctx, cancel := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err = f(ctx, server)
	var code exitCode
	switch {
	case err == nil:
		return nil
	case errors.As(err, &code):
		return code
	case ctx.Err() != nil:
		return exitCode(130)
	}
	return untold(remoteExit(err), err)
}

// remoteExit is the exit status of what a server, or the way to it, had to say.
func remoteExit(err error) int {
	var fault *api.Fault
	var network net.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &file): // of --zip and --rds; its errno looks like one of the network
		return pipeline.ExitFailed
	case errors.As(err, &fault) && fault.Status >= 500, errors.As(err, &fault) && (fault.Status == 401 || fault.Status == 403):
		return pipeline.ExitEnvironment
	case errors.As(err, &fault) && fault.Status == 400:
		return pipeline.ExitConfig
	case errors.As(err, &fault):
		return pipeline.ExitFailed
	case errors.As(err, &network), errors.Is(err, client.ErrNoServer):
		return pipeline.ExitEnvironment
	}
	return pipeline.ExitFailed
}

// idShape is what ids look like; anything else is a name.
var idShape = regexp.MustCompile(`^[0-7][0-9a-hjkmnp-tv-z]{25}(\.[0-9]+)?$`)

// resolve turns names of jobs into their ids: the newest of each.
func resolve(ctx context.Context, server *client.Client, refs []string) ([]string, error) {
	ids := make([]string, len(refs))
	for i, ref := range refs {
		lower := strings.ToLower(ref)
		if idShape.MatchString(lower) {
			ids[i] = lower
			continue
		}
		name, number := ref, ""
		list, err := server.Jobs(ctx, client.Filter{Name: name, Limit: 1})
		if err == nil && len(list.Jobs) == 0 {
			if at := strings.LastIndexByte(ref, '.'); at > 0 { // NAME.3
				name, number = ref[:at], ref[at:]
				list, err = server.Jobs(ctx, client.Filter{Name: name, Limit: 1})
			}
		}
		if err != nil {
			return nil, err
		}
		if len(list.Jobs) == 0 {
			return nil, fmt.Errorf("%q is neither an id nor the name of a job of yours: see rpipe task list --jobs", ref)
		}
		ids[i] = list.Jobs[0].ID + number
	}
	return ids, nil
}

// isJob reports whether an id is that of a job.
func isJob(id string) bool {
	_, n, err := tasks.ParseID(id)
	return err == nil && n == 0
}

// group is a command that only has others below it.
func group(use, short, long, examples string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Example: examplesText(examples), Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(children...)
	return c
}
