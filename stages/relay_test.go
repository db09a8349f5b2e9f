package stages

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRelayBoundsAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := NewRelay(slog.New(slog.NewTextHandler(&out, nil)))
		var flood strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&flood, "line %d\n\n", i)
		}
		r.Text(7, flood.String())
		lines := func() int { return strings.Count(out.String(), "\n") }
		if n := lines(); n != relayBurst {
			t.Errorf("%d lines at once", n)
		}
		time.Sleep(time.Second) // the bubble's clock
		r.Text(7, "later")
		if n := lines(); n != relayBurst+2 || !strings.Contains(out.String(), "lines_left_out=9800") {
			t.Errorf("%d lines: %s", n, out.String()[out.Len()-200:])
		}
		r.Text(7, flood.String())
		r.Close()
		if !strings.HasSuffix(out.String(), "\"R printed more than was logged\" lines_left_out=9981\n") {
			t.Error(out.String()[out.Len()-200:])
		}
	})
}

func TestWarningsAreToldOnce(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var w warnings
	for range 3 {
		w.tell(log, "f", []string{"careful", "NaNs produced"})
	}
	for i := range 100 {
		w.tell(log, "f", []string{fmt.Sprint("warning ", i)})
	}
	text := out.String()
	if strings.Count(text, "careful") != 1 || strings.Count(text, "\n") != maxWarnings+1 {
		t.Error(text)
	}
}
