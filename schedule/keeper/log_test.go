package keeper

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks"
)

// talk is work that says lines.
type talk []string

func (w talk) Run(_ context.Context, _ *schedule.Run, _ func(schedule.Outcome), log func(string)) error {
	for _, line := range w {
		log(line)
	}
	return nil
}

// TestALineOfAnyLengthCanBeRead: messages of a log have an end, and one that was cut is no
// JSON, so that nobody could read what comes after it.
func TestALineOfAnyLengthCanBeRead(t *testing.T) {
	euros := strings.Repeat("€", 20_000)
	w := talk{"", strings.Repeat("\x1b", 60_000), euros, strings.Repeat("\x80", maxLine), strings.Repeat("x", maxSaid+1), "end"}
	k := newKit(t)
	s := k.server("a", minutely(w))
	run, err := s.Trigger(t.Context(), "job", time.Time{}, "bob")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	err = s.Log(t.Context(), run.ID, 0, true, func(_ uint64, _ time.Time, data []byte) error {
		var told tasks.Told
		if err := json.Unmarshal(data, &told); err != nil {
			return err
		}
		all = append(all, told.Lines[0].Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "attempt 1, for " + stamp(run.Scheduled) + w[1] + w[2] + "\uFFFD" + strings.Repeat("x", maxSaid) + " …endCOMPLETE"
	if got := strings.Join(all, ""); got != want || all[1] != "" || all[len(all)-2] != "end" {
		t.Errorf("%d bytes in %d lines, want %d", len(got), len(all), len(want))
	}
}
