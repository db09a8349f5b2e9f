// Package filelock locks files against other processes: the token store, the
// journal and outputs do. A lock ends when its file is closed, or its process dies.
package filelock

import "errors"

// ErrBusy says that another process, or another opening of the file, has the lock.
var ErrBusy = errors.New("the file is locked")

// ErrNone says that the file system has no locks, as some of the network have not.
var ErrNone = errors.New("the file system has no locks")
