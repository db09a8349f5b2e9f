package httpuv

import (
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// Kinds of what is served.
const (
	App     = "app"     // code that gives or starts a server of the R package httpuv
	Plumber = "plumber" // a plumber router
	Shiny   = "shiny"   // a Shiny app
)

// Config says what is served by way of httpuv, and by how many workers.
type Config struct {
	Kind string `yaml:"kind" default:"app" enum:"app|plumber|shiny" doc:"plumber is an API of that package, shiny an app of that one. app is any other code that listens by way of httpuv: its last value is an app of httpuv (a list with call, onHeaders, onWSOpen or staticPaths), a function of a request, a plumber router or a Shiny app; or it starts a server itself, on whatever port."`
	File string `yaml:"file" doc:"The R file." example:"app.R"`
	Dir  string `yaml:"dir" doc:"A directory in place of a file: of a Shiny app (app.R, or ui.R and server.R), or of a plumber API (plumber.R or entrypoint.R)."`
	Code string `yaml:"code" doc:"R code in place of a file." example:"httpuv::runServer('127.0.0.1', 8000, app)"`

	Workers     Workers          `yaml:"workers" doc:"How many workers serve, and for how long."`
	Sticky      string           `yaml:"sticky" default:"auto" enum:"auto|always|never" doc:"Whether a browser stays with its worker, by a cookie. auto is for Shiny alone."`
	Cookie      string           `yaml:"cookie" default:"rpipe_worker" doc:"Name of that cookie."`
	Websocket   Websocket        `yaml:"websocket" doc:"Limits of a websocket."`
	MaxResponse configs.Size     `yaml:"max_response" default:"2GiB" min:"1" doc:"Bytes of one answer. A longer one is answered with 500."`
	Start       configs.Duration `yaml:"start_timeout" default:"60s" min:"1ms" doc:"How long the code may take to listen."`
}

// Workers are the numbers of workers and what each of them takes.
type Workers struct {
	Min         int              `yaml:"min" default:"1" min:"0" doc:"Workers that always serve."`
	Max         int              `yaml:"max" default:"0" min:"0" doc:"Workers at most. 0 is as many as the pool has."`
	Sessions    int              `yaml:"sessions" default:"0" min:"0" doc:"Websockets that one worker may have at once. 0 is 10 for Shiny and 100 otherwise."`
	Requests    int              `yaml:"requests" default:"0" min:"0" doc:"Other requests that one worker may have at once. R runs one at a time; more are of use with promises, or where httpuv itself sends files. 0 is 100 for Shiny and 1 otherwise."`
	IdleTimeout configs.Duration `yaml:"idle_timeout" default:"5m" min:"1ms" doc:"A worker above min without requests and websockets goes back to the pool after it."`
	MaxRequests int              `yaml:"max_requests" default:"0" min:"0" doc:"A worker is replaced after so many requests and websockets; those it has may end. 0 is never."`
	MaxLifetime configs.Duration `yaml:"max_lifetime" default:"0s" doc:"A worker is replaced after it; the requests and websockets it has may end. 0 is never."`
}

// Websocket limits a websocket.
type Websocket struct {
	IdleTimeout configs.Duration `yaml:"idle_timeout" default:"1h" doc:"One without a byte in either direction is closed after it. 0 is never."`
	MaxAge      configs.Duration `yaml:"max_age" default:"0s" doc:"One is closed after it. 0 is never."`
	Drain       configs.Duration `yaml:"drain_timeout" default:"5m" doc:"How long those of old code may go on after a reload. The end of the server does not wait for longer than it waits for requests."`
}

// Check implements configs.Checker.
func (c *Config) Check(report func(field, message, hint string)) {
	given := 0
	for _, s := range []string{c.File, c.Dir, c.Code} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		report("file", "one of file, dir and code must say what is served", "")
	}
	if c.Kind == App && c.Dir != "" {
		report("dir", "is for Shiny apps and plumber APIs", "set kind: shiny or kind: plumber, or name the file")
	}
	if c.Kind == Shiny && c.Code != "" {
		report("code", "is not for Shiny apps", "leave kind out: code whose last value is a Shiny app is served as one")
	}
	if c.Workers.Max > 0 && c.Workers.Min > c.Workers.Max {
		report("workers", "min is larger than max", "lower it, or raise max")
	}
}

// Root is the directory that the code runs in, as it stands in the file.
func (c *Config) Root() string {
	switch {
	case c.Dir != "":
		return c.Dir
	case c.File != "":
		return filepath.Dir(c.File)
	}
	return "."
}

// path is what is served, seen from Root.
func (c *Config) path() string {
	switch {
	case c.Dir != "":
		return "."
	case c.File != "":
		return filepath.Base(c.File)
	}
	return ""
}

// sticky reports whether a browser stays with its worker.
func (c *Config) sticky() bool {
	return c.Sticky == "always" || c.Sticky != "never" && c.Kind == Shiny
}

// limits are the Workers with their defaults by kind, for a pool of at most most.
func (c *Config) limits(most int) Workers {
	l := c.Workers
	if l.Max == 0 || l.Max > most {
		l.Max = most
	}
	l.Min = min(l.Min, l.Max)
	if l.Sessions == 0 {
		l.Sessions = 100
		if c.Kind == Shiny {
			l.Sessions = 10
		}
	}
	if l.Requests == 0 {
		l.Requests = 1
		if c.Kind == Shiny {
			l.Requests = 100
		}
	}
	orElse(&l.IdleTimeout, configs.Duration(5*time.Minute))
	return l
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
