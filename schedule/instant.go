package schedule

import (
	"fmt"
	"time"
)

// Instant is a date or a time as a user writes it: 2026-03-08, 2026-03-08T02:30, or with
// a zone as RFC 3339 has it. Without one it is in the schedule's. "" is none.
type Instant string

var instantLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Instant) UnmarshalText(text []byte) error {
	if _, err := Instant(text).In(time.UTC); err != nil {
		return err
	}
	*i = Instant(text)
	return nil
}

// In is the time that it is in a zone; zero for none.
func (i Instant) In(zone *time.Location) (time.Time, error) {
	if i == "" {
		return time.Time{}, nil
	}
	for _, layout := range instantLayouts {
		if t, err := time.ParseInLocation(layout, string(i), zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date nor a time: write 2026-03-08, 2026-03-08T02:30 or 2026-03-08T02:30:00+01:00", string(i))
}
