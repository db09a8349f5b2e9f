package broker

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(helperEnv); text != "" {
		os.Exit(help(text))
	}
	goleak.VerifyTestMain(m)
}

// open opens a store in a new directory, which ends with the test.
func open(t testing.TB, change ...func(*Options)) *Broker {
	t.Helper()
	o := Options{Dir: t.TempDir(), Name: "test", Log: logger(t)}
	for _, f := range change {
		f(&o)
	}
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

func logger(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return nil
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// interval is the other durability.
func interval(o *Options) { o.Durability = "interval:200ms" }

// within gives a test's calls a time limit that is far beyond what they need.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
