package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/store"
)

// Exit codes of a run.
const (
	ExitDone        = 0
	ExitFailed      = 1 // the run failed; nothing was published
	ExitConfig      = 2 // the configuration is wrong
	ExitEnvironment = 3 // R is missing, a directory cannot be written, …
	ExitDeadLetters = 4 // done, with rows in the dead letter
)

// ConfigError says that a run could not start because of what its file says.
type ConfigError struct {
	File string
	At   configs.Position
	Path string // such as source or stages[2]
	Err  error
}

func (e *ConfigError) Error() string {
	text := e.Err.Error()
	if !strings.HasPrefix(text, e.Path+": ") { // sinks and sources say it themselves
		text = e.Path + ": " + text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.At.Line, e.At.Column, text)
}

func (e *ConfigError) Unwrap() error { return e.Err }

// EnvironmentError says that a run could not start because of the machine.
type EnvironmentError struct{ Err error }

func (e *EnvironmentError) Error() string { return e.Err.Error() }
func (e *EnvironmentError) Unwrap() error { return e.Err }

// at says which part of the file an error of opening is about. What the
// permissions, the disk or S3 refuse is the environment's fault.
func at(f *File, path string, err error) error {
	err = &ConfigError{File: f.Path, At: f.doc.Place(path), Path: path, Err: err}
	var far *store.Error
	if errors.As(err, &far) && !errors.Is(err, store.ErrNotExist) && !errors.Is(err, store.ErrConflict) {
		return &EnvironmentError{Err: err}
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) {
		return &EnvironmentError{Err: err}
	}
	return err
}

// rError says whether R itself is missing or what the file made it load is wrong.
func rError(f *File, err error) error {
	var start *rpool.StartError
	if errors.As(err, &start) && (start.Step == "source" || start.Step == "setup") {
		return &ConfigError{File: f.Path, At: f.doc.Place("r"), Path: "r", Err: err}
	}
	return &EnvironmentError{Err: err}
}

// ExitCode is what the command line exits with.
func ExitCode(r *Report, err error) int {
	var config *ConfigError
	var environment *EnvironmentError
	switch {
	case errors.As(err, &environment):
		return ExitEnvironment
	case errors.As(err, &config):
		return ExitConfig
	case err != nil:
		return ExitFailed
	case r != nil && r.DeadLetters > 0:
		return ExitDeadLetters
	}
	return ExitDone
}

// Traceback is R's calls at the error that ended a run, the innermost last; nil
// where it was no R error.
func Traceback(err error) []string {
	var c *rpool.ConditionError
	if !errors.As(err, &c) {
		return nil
	}
	return c.Traceback
}
