// Package logs makes the log of a process: lines for people, or a JSON object a line for
// machines. Commands make one by [Config.New]; everything else has a *slog.Logger.
//
// What is promised: whoever logs with a context has the trace that it is part of on the
// line, and what [With] put into the context. The same thing has the same name in every
// line, also in the access log: see the constants.
package logs

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/trace"
)

// Names of attributes.
const (
	Request  = "request"  // id of an HTTP request, X-Request-Id
	Job      = "job"      // id of a job of the task queue
	Task     = "task"     // id of a task: that of its job, a dot and its number
	Attempt  = "attempt"  // of the task, from 1
	Worker   = "worker"   // id of a worker of the task queue
	Pid      = "pid"      // of an R process
	Pipeline = "pipeline" // name of a pipeline
	Run      = "run"      // id of a run of a pipeline or schedule
	Batch    = "batch"    // number of a batch where it was cut, from 1
	Stage    = "stage"    // name of a stage of a pipeline
	Schedule = "schedule" // name of a schedule
	Owner    = "owner"    // who asks
	API      = "api"      // name of an API
	Trace    = "trace"    // id of a trace, in hex
)

// Config is how the log is written.
type Config struct {
	Format string `yaml:"format" default:"text" enum:"text|json" doc:"How the program's log on stderr is written: text, or a JSON object a line."`
	Level  string `yaml:"level" default:"info" enum:"debug|info|warn|error" doc:"The least that is written there."`
}

// Formats and Levels are what a Config may say.
var (
	Formats = []string{"text", "json"}
	Levels  = []string{"debug", "info", "warn", "error"}
)

// New is a log that is written to w, a line at a time.
func (c Config) New(w io.Writer) *slog.Logger { return c.Brief(w, nil) }

// Brief is New with replace (slog.HandlerOptions.ReplaceAttr) between.
func (c Config) Brief(w io.Writer, replace func(groups []string, a slog.Attr) slog.Attr) *slog.Logger {
	return c.make(w, &slog.HandlerOptions{Level: c.Least(), ReplaceAttr: replace})
}

// NewAt is New with a level that may change later, in place of that of c.
func (c Config) NewAt(w io.Writer, level slog.Leveler) *slog.Logger {
	return c.make(w, &slog.HandlerOptions{Level: level})
}

// Least is the level of c.
func (c Config) Least() slog.Level {
	level := slog.LevelInfo
	if c.Level != "" {
		_ = level.UnmarshalText([]byte(strings.ToUpper(c.Level))) // checked, where it came from a user
	}
	return level
}

func (c Config) make(w io.Writer, o *slog.HandlerOptions) *slog.Logger {
	if c.Format == "json" {
		return slog.New(Handler(slog.NewJSONHandler(w, o)))
	}
	return slog.New(Handler(slog.NewTextHandler(w, o)))
}

// Handler is h, with what is known from contexts on each line.
func Handler(h slog.Handler) slog.Handler { return handler{h} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	own, _ := ctx.Value(key{}).([]slog.Attr)
	id := trace.ID(ctx)
	if len(own) == 0 && id == "" {
		return h.Handler.Handle(ctx, r)
	}
	r = r.Clone()
	r.AddAttrs(own...)
	if id != "" {
		r.AddAttrs(slog.String(Trace, id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

type key struct{}

// With is ctx with more to say on each line that is logged with it.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	own, _ := ctx.Value(key{}).([]slog.Attr)
	return context.WithValue(ctx, key{}, append(slices.Clip(own), attrs...))
}
