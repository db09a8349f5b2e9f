package rpool

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// TaskCall is what a request of Kind Task asks: one call of a TaskPlan. The
// variables that it makes are its own: what it leaves in the global environment is
// removed after it, and the working directory is as it was. Options, environment
// variables, loaded packages, and changes of variables that the environment itself
// has defined stay.
type TaskCall struct {
	Plan *TaskPlan
	// Element is the value that this call has of its own: a whole stream of R's
	// serialization; nil for none.
	Element []byte
	// ElementFile is a file with it, in place of Element, where it is large.
	ElementFile string
	// ID, Worker and Attempt are what the code finds in the environment variables
	// RPIPE_TASK_ID, RPIPE_WORKER_ID and RPIPE_ATTEMPT.
	ID      string
	Worker  string
	Attempt int
	// Result is where a value of more than MaxInline serialized bytes is written, as
	// a whole stream: a file in a directory of the caller's, which Reply.File then
	// names. "" keeps every value in memory.
	Result    string
	MaxInline int64 // bytes; 0 is 8 MiB

	elsewhere bool // R may not write to Result's directory: it leaves the file in its own
}

// TaskPlan is what many tasks have in common: the code and the arguments that they
// share. A worker keeps it under Key, with what it has read and parsed, and so it
// travels once.
type TaskPlan struct {
	Key string // of this plan and no other
	// Code is R source of an expression or of a function, or a function's name such
	// as stats::rnorm, where Text is set; else a serialized closure or expression.
	Code TaskValue
	Text bool
	// Expr says that Code is an expression, with Args as its variables; otherwise it is a
	// function.
	Expr bool
	Args []TaskArg
	// Over is the name of the argument, or variable, that the element is; "" is the
	// first argument, or the variable x. Rows says that the element is a list of
	// arguments by name.
	Over     string
	Rows     bool
	Packages []string // attached where they are not yet
	// Cache is how many bytes of values a worker keeps beyond those of the plan at hand;
	// 0 is 256 MiB.
	Cache int64
}

// TaskArg is an argument; Name is "" for one by position.
type TaskArg struct {
	Name string
	TaskValue
}

// TaskValue is an R value: a whole stream of R's serialization, or a text where
// TaskPlan.Text says so, in Data or in a file that stays as long as the request runs.
type TaskValue struct {
	Data []byte
	File string
	Key  string // of this content and no other, where it is shared by several plans; "" is none
	Size int64  // of File
	// Count says that it is so many streams, one after the other, that are put together
	// to a list with Names (nil for none); 0 is one stream, the value.
	Count int
	Names []string
}

// Stream says where a line of a task came from.
type Stream uint8

const (
	Stdout  Stream = iota + 1 // stdout, and whatever children and compiled code write
	Message                   // message()
	Warning                   // warning()
)

// String is stdout, message or warning.
func (s Stream) String() string {
	switch s {
	case Message:
		return "message"
	case Warning:
		return "warning"
	}
	return "stdout"
}

// Event is what a task told while it ran: a line, or its progress.
type Event struct {
	Stream   Stream // 0 for progress
	Text     string // a line, or the text of a message or warning, which may have several
	Progress []byte // a whole stream of R's serialization, at most 1 MiB
}

// maxInline is the default of TaskCall.MaxInline.
const maxInline = 8 << 20

func (c *TaskCall) check() error {
	switch {
	case c == nil:
		return errors.New("rpool: task without a call")
	case c.Plan == nil:
		return errors.New("rpool: task without a plan")
	case c.Plan.Key == "":
		return errors.New("rpool: task whose plan has no key")
	case len(c.Plan.Code.Data) == 0 && c.Plan.Code.File == "":
		return errors.New("rpool: task without code")
	}
	for _, s := range append([]string{c.ID, c.Worker, c.Plan.Key, c.Plan.Over}, c.Plan.Packages...) {
		if err := checkText(s); err != nil {
			return fmt.Errorf("rpool: task: %q: %w", s, err)
		}
	}
	return nil
}

// readable is r with bytes in place of files, for an R that may not read ours.
func (c *TaskCall) readable() (*TaskCall, error) {
	own, plan := *c, *c.Plan
	own.Plan, own.elsewhere = &plan, true
	plan.Args = append([]TaskArg(nil), plan.Args...)
	if err := plan.Code.load(); err != nil {
		return nil, err
	}
	for i := range plan.Args {
		if err := plan.Args[i].load(); err != nil {
			return nil, err
		}
	}
	if c.ElementFile != "" {
		v := TaskValue{File: c.ElementFile}
		if err := v.load(); err != nil {
			return nil, err
		}
		own.Element, own.ElementFile = v.Data, ""
	}
	return &own, nil
}

func (v *TaskValue) load() (err error) {
	if v.File != "" {
		v.Data, err = os.ReadFile(v.File)
		v.File = ""
	}
	if err != nil {
		return fmt.Errorf("rpool: read an argument of a task: %w", err)
	}
	return nil
}

// moveFile moves a file, if need be from one file system to another.
func moveFile(from, to string) error {
	if os.Rename(from, to) == nil {
		return nil
	}
	defer os.Remove(from)
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("rpool: take the result of a task: %w", err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = io.Copy(dst, src)
		err = errors.Join(err, dst.Close())
	}
	if err != nil {
		os.Remove(to)
		return fmt.Errorf("rpool: take the result of a task: %w", err)
	}
	return nil
}
