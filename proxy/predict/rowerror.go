package predict

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// RowError says why a row has no result.
type RowError struct {
	Index   int      // where the row stands in the request, from 0; negative for none
	Reason  string   // one of few words: invalid, r_error, bad_result, timeout, worker_died …
	Message string   // what a client may know; "" where Columns say it
	Columns []Column // what is wrong with which column
	Whole   bool     // its batch failed as a whole: the row need not be at fault
	Status  int      // the HTTP status of a request that comes to nothing else
	Err     error    // what the log says; nil where it is the client's fault
}

// Column is what is wrong with a column's value.
type Column struct{ Name, Message string }

// invalid is the error of a row that is not what the schema says.
func invalid(index int) *RowError {
	return &RowError{Index: index, Reason: "invalid", Status: http.StatusUnprocessableEntity}
}

func (e *RowError) add(column, message string) {
	e.Columns = append(e.Columns, Column{column, message})
}

// Text is all that a client may know, in one line.
func (e *RowError) Text() string {
	if len(e.Columns) == 0 {
		return e.Message
	}
	parts := make([]string, len(e.Columns))
	for i, c := range e.Columns {
		parts[i] = c.Name + ": " + c.Message
	}
	return strings.Join(parts, "; ")
}

func (e *RowError) Error() string { return fmt.Sprintf("row %d: %s", e.Index+1, e.Text()) }
func (e *RowError) Unwrap() error { return e.Err }

// appendJSON appends the error as a JSON object, details where they are not "".
func (e *RowError) appendJSON(dst []byte, details string) []byte {
	dst = append(dst, '{')
	if e.Index >= 0 {
		dst = fmt.Appendf(dst, `"index":%d,`, e.Index)
	}
	dst = fmt.Appendf(dst, `"reason":"%s","message":`, e.Reason)
	dst = frame.AppendQuoted(dst, e.Text())
	if len(e.Columns) > 0 {
		dst = append(dst, `,"columns":{`...)
		for i, c := range e.Columns {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(frame.AppendQuoted(dst, c.Name), ':')
			dst = frame.AppendQuoted(dst, c.Message)
		}
		dst = append(dst, '}')
	}
	if e.Whole {
		dst = append(dst, `,"whole_batch":true`...)
	}
	if details != "" {
		dst = append(dst, `,"details":`...)
		dst = frame.AppendQuoted(dst, details)
	}
	return append(dst, '}')
}

// resultError says that what a function returned cannot be used.
type resultError struct {
	fun string
	err error
}

func (e *resultError) Error() string { return fmt.Sprintf("%s() %v", e.fun, e.err) }
func (e *resultError) Unwrap() error { return e.err }

// explain says what an error of the pool is to the row at index. Messages allows
// R's own words.
func explain(index int, err error, messages bool) *RowError {
	f := fault.Of(err)
	e := &RowError{Index: index, Reason: f.Reason, Message: f.Message, Status: f.Status, Err: err}
	var condition *rpool.ConditionError
	var value *frame.ValueError
	var result *resultError
	switch {
	case errors.As(err, &result):
		e.Reason, e.Status, e.Message = "bad_result", http.StatusInternalServerError, "the R function returned what cannot be used"
		if messages {
			e.Message = result.Error()
		}
	case errors.As(err, &condition):
		if messages {
			e.Message = condition.Message
		}
	case errors.As(err, &value):
		e.Reason, e.Status, e.Err = "invalid", http.StatusUnprocessableEntity, nil
		e.Message, e.Columns = "", []Column{{value.Column, value.Reason}}
	}
	return e
}
