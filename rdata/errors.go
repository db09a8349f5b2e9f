package rdata

import "fmt"

// SyntaxError says that a stream is malformed, or beyond the Limits, and where.
type SyntaxError struct {
	Offset int64 // bytes from the start of the input, after decompression
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("rdata: byte %d: %s", e.Offset, e.Msg)
}
