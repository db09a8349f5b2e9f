package sinks

import (
	"context"
	"time"
)

// Retirer is implemented by the writers of files that can put new files in the
// place of some of the old ones.
type Retirer interface {
	// Retire ends a writer that was opened with if_exists: replace in the place of
	// Finish. The manifest names the published parts and the files of before but
	// for those in retired. These stay where they are until that time, for readers
	// that have begun with the manifest of before; the first run or compaction
	// after it removes them, or Retire itself where it has passed. After an error
	// with ErrCommitted in its chain the new manifest is there all the same.
	Retire(ctx context.Context, retired []string, until time.Time) error
}
