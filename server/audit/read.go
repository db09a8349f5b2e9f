package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Filter says which entries are read. What is zero leaves out nothing.
type Filter struct {
	Owner, Op, Outcome, Target string
	Since, Until               time.Time // then or later; before
	Before                     uint64    // numbers below
	Limit                      int       // 0 is 100
}

func (f *Filter) takes(e *Entry) bool {
	switch {
	case f.Owner != "" && e.Owner != f.Owner,
		f.Op != "" && e.Op != f.Op,
		f.Outcome != "" && e.Outcome != f.Outcome,
		f.Target != "" && !slices.Contains(e.Targets, f.Target),
		!f.Since.IsZero() && e.Time.Before(f.Since),
		!f.Until.IsZero() && !e.Time.Before(f.Until):
		return false
	}
	return true
}

// Read returns entries, the newest first, and whether there are more: after is the
// number of the last, for Before of the next page.
func (l *Log) Read(ctx context.Context, f Filter) (found []Entry, more bool, err error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	all, err := l.files()
	if err != nil {
		return nil, false, err
	}
	for _, file := range slices.Backward(all) {
		if f.Before != 0 && file.first >= f.Before {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		data, err := os.ReadFile(file.path)
		if errors.Is(err, fs.ErrNotExist) {
			break // it was swept just now, and those before it
		}
		if err != nil {
			return nil, false, fmt.Errorf("audit: %w", err)
		}
		oldest := false
		for len(data) > 0 {
			data = bytes.TrimSuffix(data, []byte("\n"))
			at := bytes.LastIndexByte(data, '\n') + 1
			line := data[at:]
			data = data[:at]
			var e Entry
			if json.Unmarshal(line, &e) != nil || e.N == 0 || f.Before != 0 && e.N >= f.Before {
				continue
			}
			if !f.Since.IsZero() && e.Time.Before(f.Since.Add(-time.Minute)) { // clocks are set back by a little
				oldest = true
				break
			}
			if !f.takes(&e) {
				continue
			}
			if len(found) == limit {
				return found, true, nil
			}
			found = append(found, e)
		}
		if oldest {
			break
		}
	}
	return found, false, nil
}
