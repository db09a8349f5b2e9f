// Package proxy serves R over HTTP: one port in front of many R processes. It puts
// together what its subpackages make: the front, which speaks to the network;
// transports, which give requests to R; and the pages of /__rpipe__/. It owns the
// R pools, brings up new code beside the old, and ends in good order. The command
// line is its user.
package proxy

import (
	"fmt"
	"net"
	"path"
	"regexp"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/async"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/proxy/httpuv"
	"github.com/rpipe-dev/rpipe/proxy/plumber"
	"github.com/rpipe-dev/rpipe/proxy/predict"
	"github.com/rpipe-dev/rpipe/rblock"
	"github.com/rpipe-dev/rpipe/trace"
)

// File is proxy.yaml.
type File struct {
	Version   int              `yaml:"version" required:"true" min:"1" max:"1" doc:"The version of this grammar: 1."`
	Name      string           `yaml:"name" doc:"A name for the status page."`
	Listen    front.Listen     `yaml:"listen" doc:"Where to listen, and what is taken from a connection."`
	Admin     admin.Config     `yaml:"admin" doc:"What is served below /__rpipe__/: status, metrics, health and ready."`
	Log       front.Log        `yaml:"log" doc:"The program's log, and the access log."`
	Tracing   trace.Config     `yaml:"tracing" doc:"Sends traces to an OpenTelemetry collector."`
	Grace     configs.Duration `yaml:"grace" default:"30s" min:"1ms" doc:"How long requests may take to finish after SIGINT or SIGTERM. What is left then is answered with 503."`
	Pools     map[string]Pool  `yaml:"pools" doc:"Sets of R workers by name. The one called default is there without being named, and is what APIs use that name none."`
	APIs      []API            `yaml:"apis" required:"true" doc:"What is served."`
	Async     *async.Config    `yaml:"async" doc:"Answers requests later that come with Prefer: respond-async: 202 with an address at once, and there the answer when R is done. Off without it."`
	Pipelines []Beside         `yaml:"pipelines" doc:"Pipelines that run beside the APIs, on workers of the same pools. Requests go first."`

	ErrorDetails bool `yaml:"error_details" default:"false" doc:"Tells clients what R said: message, traceback and stderr. --watch does too. For development."`

	Path   string            `yaml:"-"` // as the user gave it
	vars   map[string]string // of -v
	doc    *configs.Document // nil where the file was made from flags
	single string            // what rpipe proxy plumber.R was given; "" where there is a file
}

// API is something that is served below a path: a plumber API, an app of httpuv,
// prediction endpoints, or endpoints beside one of the others.
type API struct {
	Name string `yaml:"name" doc:"A label for logs, metrics and the status page. Without it the path."`
	Path string `yaml:"path" default:"/" doc:"The path that it is served below. The API does not see it: a request for /scores/x is one for /x to an API at /scores. The longest path that fits a request wins."`
	Host string `yaml:"host" doc:"The host name that it is for. Empty is any."`

	Plumber *plumber.Config    `yaml:"plumber" doc:"A plumber API."`
	HTTPUV  *httpuv.Config     `yaml:"httpuv" doc:"Code that listens by way of httpuv: Shiny, websockets, other frameworks."`
	Predict []predict.Endpoint `yaml:"predict" doc:"Endpoints for rows: an R function that is called with the rows of many requests at once, or a pipeline. They go before what else answers at their path."`

	R       RBlock           `yaml:"r" doc:"What R workers have loaded before the API's own file."`
	Pool    string           `yaml:"pool" default:"default" doc:"The pool whose workers answer."`
	Timeout configs.Duration `yaml:"timeout" default:"0s" doc:"How long R may take for a request, from the moment it has a worker. The code is interrupted then, and the client gets 504. 0 is no limit."`

	front.Policy `yaml:",inline"`
}

// RBlock is what workers of an API have loaded.
type RBlock struct {
	rblock.Block `yaml:",inline"`
	Limits       rblock.Limits `yaml:"limits" doc:"What the kernel holds a worker to."`
}

// namePattern is what an API or a pool may be called: the name is a word in logs
// and a value in metrics.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 _./-]{0,99}$`)

// Check implements configs.Checker.
func (f *File) Check(report func(field, message, hint string)) {
	names, places := map[string]bool{}, map[string]bool{}
	for i := range f.APIs {
		a := &f.APIs[i]
		at := fmt.Sprintf("apis[%d]", i)
		name := a.label()
		switch {
		case !namePattern.MatchString(name):
			report(at+".name", fmt.Sprintf("%q is no name: letters, digits, spaces and _./- are allowed, up to 100, a letter or digit first", name), "")
		case names[name]:
			report(at, "has the name of another API: "+name, "give it a name of its own")
		}
		names[name] = true
		place := strings.ToLower(a.Host) + a.prefix()
		if places[place] {
			report(at+".path", "is served by another API already", "give them different paths or hosts")
		}
		places[place] = true
		f.checkPool(at+".pool", a.Pool, report)
	}
	for i, b := range f.Pipelines {
		f.checkPool(fmt.Sprintf("pipelines[%d].pool", i), b.Pool, report)
	}
	for name := range f.Pools {
		if !namePattern.MatchString(name) {
			report("pools."+name, "is no name: letters, digits, spaces and _./- are allowed, up to 100, a letter or digit first", "")
		}
	}
}

// users are those who share a pool.
func (f *File) users(pool string) use {
	var by use
	for i := range f.APIs {
		if f.APIs[i].Pool == pool {
			by.apis++
		}
	}
	for i := range f.Pipelines {
		if f.Pipelines[i].Pool == pool {
			by.pipelines++
		}
	}
	return by
}

// Warn implements configs.Warner.
func (f *File) Warn(report func(field, message, hint string)) {
	for name, p := range f.Pools {
		if n := f.users(name).apis; p.Max > 0 && n*max(1, p.Min) > p.Max {
			report("pools."+name+".max", fmt.Sprintf("is less than the %d APIs of the pool need to keep their workers: they take turns, and wait for workers to start", n),
				fmt.Sprintf("say max: %d or more", n*max(1, p.Min)))
		}
	}
	for i, b := range f.Pipelines {
		p, ok := f.Pools[b.Pool]
		if ok && p.reserve(f.users(b.Pool)) == 0 {
			report(fmt.Sprintf("pipelines[%d]", i), "may take all workers of pool "+b.Pool+": requests wait until a batch is done", "say reserve: 1 there, and max: 2 or more")
		}
	}
}

func (f *File) checkPool(field, name string, report func(field, message, hint string)) {
	if _, ok := f.Pools[name]; ok || name == "default" || name == "" {
		return
	}
	hint := "add it below pools, or leave pool out"
	var known []string
	for k := range f.Pools {
		known = append(known, k)
	}
	if near := configs.DidYouMean(name, known); near != "" {
		hint = near
	}
	report(field, "there is no pool "+name, hint)
}

// Check implements configs.Checker.
func (a *API) Check(report func(field, message, hint string)) {
	switch {
	case a.Plumber != nil && a.HTTPUV != nil:
		report("httpuv", "stands beside plumber", "an API is served by one of them; make two APIs, with different paths")
	case a.Plumber == nil && a.HTTPUV == nil && len(a.Predict) == 0:
		report("", "has nothing to serve", "add plumber: {file: plumber.R}, httpuv or predict")
	}
	if !strings.HasPrefix(a.Path, "/") {
		report("path", "does not begin with /", "such as /"+a.Path)
	}
	if strings.ContainsAny(a.Path, "?#*{}<>% ") || a.prefix() != "" && path.Clean(a.Path) != a.prefix() {
		report("path", "is no plain path", "such as /scores")
	}
	if host, _, err := net.SplitHostPort(a.Host); err == nil {
		report("host", "has a port; requests are told apart by name alone", "say "+host)
	} else if strings.ContainsAny(a.Host, "*/ ") {
		report("host", "is no host name", "such as api.example.com")
	}
	if a.Path == "/__rpipe__" || strings.HasPrefix(a.Path, admin.Prefix) {
		report("path", "is rpipe's own", "choose another")
	}
	taken := map[string]bool{}
	for i, e := range a.Predict {
		if taken[e.Path] {
			report(fmt.Sprintf("predict[%d].path", i), "is that of another endpoint", "")
		}
		taken[e.Path] = true
	}
}

// label is Name, or what stands in for it.
func (a *API) label() string {
	for _, s := range []string{a.Name, strings.Trim(a.Path, "/"), a.Host} {
		if s != "" {
			return s
		}
	}
	return "api"
}
