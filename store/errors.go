package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Error says what could not be done with which object, why, and how to mend it.
type Error struct {
	Op   string // "read", "write", "list", …
	URL  string // s3://bucket/key
	Err  error
	Hint string // "" where nothing is known
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s %s: %v", e.Op, e.URL, e.Err)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// cause is what a server or the network said, in few words, with what it means
// for a caller (ErrNotExist, ErrConflict or nil) and the SDK's error behind it.
type cause struct {
	text    string
	meaning error
	sdk     error
}

func (c *cause) Error() string { return c.text }

func (c *cause) Unwrap() []error {
	if c.meaning == nil {
		return []error{c.sdk}
	}
	return []error{c.meaning, c.sdk}
}

// failed makes an Error of what a request returned.
func (c *Client) failed(op string, l Location, err error) error {
	var own *Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	e := &Error{Op: op, URL: l.String()}
	var text string
	var meaning error
	var api smithy.APIError
	switch {
	case errors.Is(err, ErrNotExist) || errors.Is(err, ErrConflict):
		e.Err = err
		return e
	case errors.Is(err, context.Canceled):
		e.Err = context.Canceled
		return e
	case errors.As(err, &api):
		text, e.Hint, meaning = c.answered(op, l, api, err)
	default:
		text, e.Hint = c.unanswered(err)
	}
	var tried *retry.MaxAttemptsError
	if errors.As(err, &tried) && tried.Attempt > 1 {
		text = fmt.Sprintf("%s (after %d attempts)", text, tried.Attempt)
	}
	e.Err = &cause{text: text, meaning: meaning, sdk: err}
	return e
}
