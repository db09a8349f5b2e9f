package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/logs"
)

// logFlags say how the log is, over what a file says.
type logFlags struct {
	format, level string
	verbose       bool
}

func (f *logFlags) flag(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.format, "log-format", "", "how the log on stderr is written: text, or json (an object a line) (default text)")
	flags.StringVar(&f.level, "log-level", "", "the least that is logged: debug, info, warn or error (default info)")
	flags.BoolVar(&f.verbose, "verbose", false, "log more: --log-level debug")
}

// over is c with what the flags say in place.
func (f *logFlags) over(c logs.Config) (logs.Config, error) {
	if f.verbose {
		c.Level = "debug"
	}
	if f.format != "" {
		c.Format = f.format
	}
	if f.level != "" {
		c.Level = f.level
	}
	if c.Format != "" && !slices.Contains(logs.Formats, c.Format) {
		return c, fmt.Errorf("--log-format is %s, not %q", strings.Join(logs.Formats, " or "), c.Format)
	}
	if c.Level != "" && !slices.Contains(logs.Levels, c.Level) {
		return c, fmt.Errorf("--log-level is one of %s, not %q", strings.Join(logs.Levels, ", "), c.Level)
	}
	return c, nil
}

// log is the log of a service, on stderr.
func (f *logFlags) log(c logs.Config) (*slog.Logger, error) {
	c, err := f.over(c)
	if err != nil {
		return nil, err
	}
	return c.New(os.Stderr), nil
}
