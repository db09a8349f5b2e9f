// Package api is the REST API of rpipe serve as a contract: the documents that go in
// and out, the table of routes, and the OpenAPI description that is made of both.
// Package server answers it, package tasks/client asks it; neither has documents of its
// own, so that they cannot drift apart.
//
// Documents are JSON. Times are RFC 3339 in UTC. Durations go out as seconds and come in
// as seconds or as text such as "90s" or "1h30m"; sizes go out as bytes and come in as
// bytes or as text such as "64MiB". An R value stands as JSON by the rules of
// tasks/rvalue, or, where JSON cannot hold it, in one of the forms of Value.
package api

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// Media types of bodies.
const (
	JSON   = "application/json"
	Lines  = "application/x-ndjson"      // JSON, one document a line
	R      = "application/x-r-serialize" // R's serialize(), of any version and byte order
	Stream = "text/event-stream"         // server-sent events
	Zip    = "application/zip"
	Text   = "text/plain"
	Bytes  = "application/octet-stream"
)

// Duration is a length of time: seconds in JSON.
type Duration time.Duration

// For is a duration where none would mean the default.
func For(d time.Duration) *Duration { return (*Duration)(&d) }

// MarshalJSON writes seconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).Seconds())
}

// UnmarshalJSON reads seconds, or text such as "1h30m".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err == nil {
		if seconds < 0 || seconds > 100*365*24*3600 {
			return fmt.Errorf("%v is not a number of seconds from 0 to 100 years", seconds)
		}
		*d = Duration(seconds * float64(time.Second))
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("%.40s is no duration: say seconds, such as 90, or text, such as \"1h30m\"", b)
	}
	parsed, err := configs.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no duration: say seconds, such as 90, or text, such as \"1h30m\"", text)
	}
	*d = Duration(parsed)
	return nil
}

// Size is a number of bytes.
type Size int64

// UnmarshalJSON reads bytes, or text such as "64MiB".
func (s *Size) UnmarshalJSON(b []byte) error {
	var bytes int64
	if err := json.Unmarshal(b, &bytes); err == nil {
		if bytes < 0 {
			return fmt.Errorf("%d is not a number of bytes", bytes)
		}
		*s = Size(bytes)
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("%.40s is no size: say bytes, such as 1048576, or text, such as \"64MiB\"", b)
	}
	parsed, err := configs.ParseSize(text)
	if err != nil {
		return fmt.Errorf("%q is no size: say bytes, such as 1048576, or text, such as \"64MiB\"", text)
	}
	*s = Size(parsed)
	return nil
}

// Strings are texts. One alone may stand without its array.
type Strings []string

// UnmarshalJSON reads an array of strings, or a string.
func (s *Strings) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil && string(b) != "null" {
		*s = Strings{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}
