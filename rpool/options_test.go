package rpool

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestOptionDefaults(t *testing.T) {
	o, err := Options{}.complete()
	if err != nil {
		t.Fatal(err)
	}
	if o.Max != runtime.NumCPU() || o.IdleTimeout != 5*time.Minute || o.TemplateIdle != 15*time.Minute ||
		o.CheckInterval != 10*time.Second || o.QueueLength != 1024 || o.Grace != 5*time.Second ||
		o.StartTimeout != time.Minute || o.MaxFrame != 2<<30 || o.Log == nil {
		t.Errorf("got %+v", o)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(Options{Max: 2, Min: 3}, "min 3 is above max 2")
	f(Options{Max: 2, Reserve: 2}, "leaves no worker for other requests")
	f(Options{Max: -1}, "max is negative")
	f(Options{QueueWait: -1}, "queue_wait is negative")
}
