package frame

// ROptions say how values cross to R.
type ROptions struct {
	Int64 Int64Mode // how int64 arrives in R
}

// Int64Mode is double (default; beyond 2^53 is an error) or integer64 (bit64).
type Int64Mode int

// The two ways for an int64 column to arrive in R.
const (
	Int64Double Int64Mode = iota
	Int64Bit64
)

// AppendR appends f as a data.frame in R's serialization: a headerless item (see rdata.AppendItem).
func AppendR(dst []byte, f Frame, o ROptions) ([]byte, error) { panic("frame: pending") }

// FromR reads a headerless item that holds a data.frame.
func FromR(item []byte) (Frame, error) { panic("frame: pending") }
