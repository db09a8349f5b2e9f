package main

import (
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// What a schedule does stands in its line, also where its newest run does not say so.
func TestScheduleNotes(t *testing.T) {
	ended, under := &api.Run{State: "MISSED", Ended: new(time.Time)}, &api.Run{State: "RUNNING"}
	for want, s := range map[string]api.Schedule{
		"":                              {Running: 1, Last: under},
		"failing":                       {Failing: true, Last: ended},
		"1 running, 32 waiting":         {Running: 1, Waiting: 32, Last: ended},
		"32 waiting":                    {Running: 1, Waiting: 32, Last: under},
		"2 running":                     {Running: 2, Last: under},
		"paused by ana, 1 running":      {Paused: true, PausedBy: "ana", Running: 1, Last: ended},
		"no longer configured, failing": {Gone: true, Failing: true},
	} {
		if got := scheduleNote(&s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
