package frame

import (
	"errors"
	"sync"
	"time"
)

var zones sync.Map // name to *time.Location

// loadZone finds a time zone by its IANA name. The machine's own zone has no
// name that means the same elsewhere and is refused.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, errors.New("a time zone needs a name")
	}
	if l, ok := zones.Load(name); ok {
		return l.(*time.Location), nil
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	zones.Store(name, l)
	return l, nil
}
