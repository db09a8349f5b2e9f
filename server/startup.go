package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Script is R code that is run once when the server starts.
type Script struct {
	File    string           `yaml:"file" doc:"An R file, sourced in its own directory." example:"startup.R"`
	Code    string           `yaml:"code" doc:"R code, in place of a file."`
	Timeout configs.Duration `yaml:"timeout" default:"5m" doc:"It is stopped after so long, and has failed. 0 is no limit."`
	OnError string           `yaml:"on_error" default:"stop" enum:"stop|go_on" doc:"What a failure means: stop, the server does not start; go_on, it is written to the log."`
}

// Shorthand lets the file stand for the mapping.
func (Script) Shorthand() string { return "file" }

// Check implements configs.Checker.
func (c *Script) Check(report func(field, message, hint string)) {
	switch {
	case c.File == "" && c.Code == "":
		report("", "has nothing to run", "say file: startup.R, or code: …")
	case c.File != "" && c.Code != "":
		report("code", "stands beside file", "make two entries of them; they run in order")
	}
}

// name is what the log calls the script.
func (c *Script) name(i int) string {
	if c.File != "" {
		return c.File
	}
	return fmt.Sprintf("startup[%d]", i)
}

// startupCode runs the code of a script, given as text, as a program of its own.
const startupCode = `function(code) {
  at <- strsplit(code, "\n", fixed = TRUE)[[1L]]
  if (nzchar(at[1L])) {
    old <- setwd(dirname(at[1L]))
    on.exit(setwd(old))
    sys.source(basename(at[1L]), new.env(parent = globalenv()), keep.source = TRUE)
  } else {
    eval(parse(text = at[-1L], keep.source = TRUE), new.env(parent = globalenv()))
  }
  NULL
}`

// runStartup runs the scripts of startup one after the other, each in an R process with
// what the r block loads, before a task or a request comes. With workers of its own they
// run on those, otherwise on an R process that ends with them.
func (s *Server) runStartup() error {
	scripts := s.file.Startup
	if len(scripts) == 0 {
		return nil
	}
	pool := s.pool
	if pool == nil {
		var err error
		pool, err = rpool.New(rpool.Options{Max: 1, Log: s.log.With("part", "startup"), Output: s.printed})
		if err != nil {
			return fmt.Errorf("startup: %w", err)
		}
		defer pool.Close()
	}
	env := s.file.R.Environment(s.file.Dir(), s.file.R.Limits)
	for i := range scripts {
		c, begun := &scripts[i], time.Now()
		log := s.log.With("script", c.name(i))
		output, err := s.runScript(pool, env, c)
		for line := range strings.Lines(output) {
			log.Info("R: " + strings.TrimRight(line, "\r\n"))
		}
		switch {
		case err == nil:
			log.Info("a startup script has run", "took", time.Since(begun).Round(time.Millisecond).String())
		case s.ctx.Err() != nil:
			return context.Cause(s.ctx)
		case c.OnError == "go_on":
			log.Error("a startup script failed; the server starts nevertheless, as on_error says", "error", err)
		default:
			return &ConfigError{fmt.Errorf("startup: %s: %w", c.name(i), err)}
		}
	}
	return nil
}

// runScript runs one, and is what it printed.
func (s *Server) runScript(pool *rpool.Pool, env *rpool.Environment, c *Script) (output string, err error) {
	text := "\n" + c.Code
	if c.File != "" {
		path, err := filepath.Abs(s.file.below(c.File))
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err != nil {
			return "", err
		}
		text = path
	}
	element, err := rdata.Append(nil, &rdata.Character{Offsets: []int64{0, int64(len(text))}, Data: []byte(text)}, rdata.Format{})
	if err != nil {
		return "", err
	}
	reply, err := pool.Do(s.ctx, env, rpool.Interactive, &rpool.Request{
		Kind: rpool.Task, Timeout: time.Duration(c.Timeout), Label: "startup",
		Task: &rpool.TaskCall{
			Plan: &rpool.TaskPlan{Key: "startup", Text: true, Code: rpool.TaskValue{Data: []byte(startupCode)}},
			ID:   "startup", Worker: "startup", Element: element,
		},
	})
	if err != nil {
		return "", err
	}
	return reply.Output, nil
}

// printed logs what R writes outside of requests.
func (s *Server) printed(pid int, line string) {
	if n := s.printer.Load(); n != nil {
		n.Printed(pid, line)
		return
	}
	s.log.Info("R: "+line, logs.Pid, pid)
}
