package server

import (
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// A time that is none is refused by its field, with how one is written.
func TestTimesOfRequests(t *testing.T) {
	for body, want := range map[string]string{
		`{"scheduled": "tomorrow"}`:          `scheduled: "tomorrow" is no time: write it such as 2026-03-08T01:30:00Z`,
		`{"scheduled": "2026-03-08"}`:        `scheduled: "2026-03-08" is no time: write it such as 2026-03-08T01:30:00Z`,
		`{"scheduled": "2026-13-08T01:30Z"}`: `scheduled: "2026-13-08T01:30Z" is no time: write it such as 2026-03-08T01:30:00Z`,
	} {
		err := decodeJSON([]byte(body), 10, new(api.RunRequest))
		f, ok := err.(*api.Fault)
		if !ok || f.Status != 400 || f.Field+": "+f.Message != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}
