package broker

import (
	"fmt"
	"strings"
	"time"
)

// Durability says when what was written is on the disk of an embedded store: "always",
// which is also "", before it is acknowledged; "interval:200ms" so long after it at
// most, which is what a power failure may cost. The end of a process costs nothing
// in either. External servers have their own setting for it.
type Durability string

// Always is the default.
const Always Durability = "always"

// ParseDurability reads "always" or "interval:" and a duration of at least 10ms.
func ParseDurability(s string) (Durability, error) {
	d := Durability(s)
	if d == "" {
		d = Always
	}
	_, err := d.interval()
	return d, err
}

// interval between syncs; 0 is always.
func (d Durability) interval() (time.Duration, error) {
	if d == "" || d == Always {
		return 0, nil
	}
	text, ok := strings.CutPrefix(string(d), "interval:")
	every, err := time.ParseDuration(text)
	if !ok || err != nil || every < 10*time.Millisecond {
		return 0, fmt.Errorf("durability %q: write always, or interval: and a duration of at least 10ms, such as interval:200ms", string(d))
	}
	return every, nil
}
