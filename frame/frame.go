// Package frame defines the columnar batch that travels between stages: an
// Arrow record batch whose memory belongs to Go's garbage collector, so nobody
// calls Retain or Release. A frame is immutable once built.
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
	MetaR        = "rpipe.r"       // R class to restore: "difftime", "integer64", "hms", …
	MetaUnits    = "rpipe.units"   // difftime: secs, mins, hours, days or weeks
	MetaTimezone = "rpipe.tz"      // POSIXct: the tzone attribute as R had it ("" for the worker's zone)
	MetaJSON     = "rpipe.json"    // "1": a utf8 column that holds JSON text
	MetaLevels   = "rpipe.levels"  // factor: JSON array of its declared levels, kept in files
	MetaOrdered  = "rpipe.ordered" // "1": an ordered factor
)
