package sinks

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// ErrExists is in the chain of the error of an Open that found output which
// if_exists does not allow it to add to or to replace.
var ErrExists = errors.New("output exists")

// ErrLocked is in the chain of the error of an Open that found another run
// writing to the same place.
var ErrLocked = errors.New("another run is writing here")

// ErrFenced is in the chain of the error of a writer that lost its place: while
// this process was stopped or cut off, another run, or another process of this
// one, took it over. Nothing more of this writer becomes visible.
var ErrFenced = errors.New("another process has taken this output over")

// ErrCommitted is in the chain of an error of Finish that came after the commit:
// the new files are complete and in the manifest, and what they replace may
// still be there; the next run there deletes it.
var ErrCommitted = errors.New("the output is complete")

var errNoS3 = errors.New("this run has no connection to S3")

// Error says what a sink could not do, where, why, and how to mend it.
type Error struct {
	Op   string // "write", "publish", "create directory", …
	Path string // as the user wrote it, or the file concerned
	Err  error
	Hint string // how to mend it; "" where nothing is known
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sink: ")
	b.WriteString(e.Op)
	b.WriteByte(' ')
	b.WriteString(e.Path)
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// failed makes an Error of what the file system said. The temporary name in an
// fs.PathError tells a user nothing, so only its cause is kept.
func failed(op, path string, err error) error {
	var own *Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	cause := err
	var pe *fs.PathError
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	return &Error{Op: op, Path: path, Err: cause, Hint: hint(cause)}
}

func hint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "free space on that disk, or set path to another one; nothing of this run stays behind"
	case errors.Is(err, syscall.EDQUOT):
		return "the disk quota of this user is used up: free space, or set path to another disk"
	case errors.Is(err, syscall.EFBIG):
		return "the file reached the size limit of the process or file system (ulimit -f); set bytes_per_file below it"
	case errors.Is(err, syscall.EROFS):
		return "the file system is mounted read-only: set path to one that can be written"
	case errors.Is(err, fs.ErrPermission):
		return "the user that runs rpipe may not write there: change the directory's owner or mode, or set another path"
	case errors.Is(err, syscall.ENOTDIR):
		return "a parent of the path is a file: set another path"
	case errors.Is(err, syscall.EMFILE):
		return "too many files are open: lower max_open_partitions, or raise ulimit -n"
	case errors.Is(err, syscall.ENAMETOOLONG):
		return "a partition's value makes a file name that is too long: partition by a shorter column"
	}
	return ""
}
