package frame

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
)

var _ = context.Background
var _ arrow.DataType

// --- signatures that other packages call; to be implemented (see the files' owner)

// Bytes is the memory that the frame's rows take, counting a slice's share only.
func Bytes(f Frame) int64 { panic("frame: pending") }

// Slice is rows [i, j) of f, sharing its memory.
func Slice(f Frame, i, j int) Frame { panic("frame: pending") }

// Concat joins frames of equal schema; dictionaries are unified by string.
func Concat(fs ...Frame) (Frame, error) { panic("frame: pending") }

// Select keeps the named columns in that order; an unknown name is an error with "did you mean".
func Select(f Frame, names []string) (Frame, error) { panic("frame: pending") }

// Rename renames columns, old name to new.
func Rename(f Frame, names map[string]string) (Frame, error) { panic("frame: pending") }

// Conform makes f's columns those of want where that loses nothing: int32 → int64 → float64,
// all-null → any, dictionary ↔ utf8, exact float64 → int. Anything else is a *ConflictError.
func Conform(f Frame, want *Schema) (Frame, error) { panic("frame: pending") }

// Restore gives the columns of got that have the same name as one of in the type they had
// there, where the conversion of every value is exact (an integer64 or int64 column that R
// returned as double, for example).
func Restore(got Frame, in *Schema) Frame { panic("frame: pending") }

// Empty is a frame of schema s without rows.
func Empty(s *Schema) Frame { panic("frame: pending") }

// FormatSchema prints a schema for people: one "name type" a line.
func FormatSchema(s *Schema) string { panic("frame: pending") }

// ParseType reads a type as users write it in YAML: bool, int32, int64, double, string,
// factor, date, timestamp, timestamp[Europe/Berlin], binary, json, difftime[mins], list<double>, …
func ParseType(s string) (arrow.Field, error) { panic("frame: pending") }

// TypeName is the inverse of ParseType.
func TypeName(f arrow.Field) string { panic("frame: pending") }

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

// Inferrer builds frames from text fields whose types are not known: see its owner's doc.
// CSV readers use it. Types in order: bool, int32, int64, double, date, timestamp, string.
