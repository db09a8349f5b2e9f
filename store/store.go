// Package store reads and writes objects on S3 and what speaks its protocol:
// ranged and streamed reads, conditional writes, and uploads in parts that stay
// invisible until they are completed.
//
// A [Client] is the way to all buckets of a run. Small objects are read and
// written whole by Get and Put; a [Condition] makes a Put a compare-and-set,
// which locks and journals are built on. Large ones are streamed: Open reads,
// Upload sends parts in bounded memory, and its Close leaves a [Pending], a few
// names that any process can make visible later by Complete, once or many times
// over.
//
// Every request that fails by the network or on the server's side is tried
// again, MaxAttempts times in all, with growing pauses. A request whose answer
// was lost may have been carried out: Put and Complete find out whether what
// stands there is their own work before they speak of a conflict.
package store

import "errors"

// ErrNotExist says that there is no such object or bucket.
var ErrNotExist = errors.New("no such object")

// ErrConflict says that a condition did not hold: somebody else was there first.
var ErrConflict = errors.New("the object is there already, or has changed")

// Condition is what must hold for a Put.
type Condition struct {
	IfNoneMatch bool   // nothing is there
	IfMatch     string // it has this ETag
}

// Pending is an upload of which every part is stored and that Complete makes
// visible, in a later process too.
type Pending struct {
	ID    string        `json:"id"`
	Token string        `json:"token,omitempty"` // what the object will carry to tell that this upload made it
	Parts []PendingPart `json:"parts,omitempty"`
}

// PendingPart is one part of an upload.
type PendingPart struct {
	Number int32  `json:"n"`
	ETag   string `json:"etag"`
	CRC32  string `json:"crc32,omitempty"`
}

// Conditions is what a server honours.
type Conditions struct {
	Put      bool // If-None-Match and If-Match of a put
	Complete bool // If-None-Match where an upload is completed
}
