package broker

import "errors"

// Errors of the broker. What wraps them says the operation and the subject.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("the record has changed in the meantime")
	ErrNoResponder = errors.New("nobody answers")
	ErrClosed      = errors.New("the broker is closed")
	ErrFull        = errors.New("the store is full")
	ErrTooLarge    = errors.New("too large for one message")
)
