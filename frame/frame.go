// Package frame defines the columnar batch that travels between stages, and
// everything that turns it into something else: R's data.frame and back, text,
// another schema, a slice, a concatenation.
//
// A frame is an Arrow record batch whose memory belongs to Go's garbage
// collector, so nobody calls Retain or Release. It is immutable once built:
// any number of goroutines may read it, and slices share its memory.
//
// Columns have one of the types that [Kind] lists. Each has an exact
// counterpart in R and in Parquet; a missing value is Arrow's null, and NaN is
// a value of its own. Whoever reads something else (int16, decimals, timestamps
// in nanoseconds) converts it on the way in.
//
// Use [Builder] to make frames of a known schema, [Inferrer] for text fields
// whose types are to be found out, and package ndjson below this one for JSON.
// [AppendR] and [FromR] carry frames to R and back; [Restore] and [Conform]
// then give a result the types that the caller expects, and say in a
// [ConflictError] which column does not have them.
package frame

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Frame is one batch of rows.
type Frame = arrow.RecordBatch

// Schema names and types the columns of a frame.
type Schema = arrow.Schema

// Rows is how many rows readers put into one frame.
const Rows = 10240

// Allocator is the one that every frame is built with: plain Go memory.
var Allocator memory.Allocator = memory.NewGoAllocator()

// Keys of a field's metadata. They carry what R knows of a column and Arrow's
// type does not say.
const (
	MetaR        = "rpipe.r"       // R class to restore: "difftime" or "hms"
	MetaUnits    = "rpipe.units"   // difftime: secs, mins, hours, days or weeks
	MetaTimezone = "rpipe.tz"      // POSIXct: the tzone attribute as R had it ("" for the worker's zone)
	MetaJSON     = "rpipe.json"    // "1": a utf8 column that holds JSON text
	MetaLevels   = "rpipe.levels"  // factor: JSON array of its declared levels, kept in files
	MetaOrdered  = "rpipe.ordered" // "1": an ordered factor (in files; in memory the Arrow type says it)
	MetaUnknown  = "rpipe.unknown" // "1": R gave nothing but NA, so bool stands for a type not yet known
)
