package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/notify"
	"github.com/rpipe-dev/rpipe/proxy"
	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/rblock"
	"github.com/rpipe-dev/rpipe/server/dashboard"
	"github.com/rpipe-dev/rpipe/server/pipelines"
	"github.com/rpipe-dev/rpipe/store"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/trace"
)

// File is rpipe.yaml, the configuration of rpipe serve. All of it is optional.
type File struct {
	Version    int                      `yaml:"version" default:"1" min:"1" max:"1" doc:"The version of this grammar: 1."`
	Listen     Listen                   `yaml:"listen" doc:"Where the REST API is, and what is taken from a connection."`
	Auth       string                   `yaml:"auth" default:"loopback" enum:"loopback|always" doc:"loopback: who asks from this machine needs no token, and is the user that the server runs as. always: everybody shows a token or a client certificate."`
	Login      Login                    `yaml:"login" doc:"How people log in with a browser, and how guessing tokens is slowed down."`
	URL        string                   `yaml:"url" example:"https://tasks.example.com" doc:"Where people reach the dashboard, for links in notifications. Empty: the address that is listened on."`
	Notify     map[string]notify.Target `yaml:"notify" doc:"Where to tell of schedules that fail, work again or are late, by name: see notify of a schedule."`
	Audit      Audit                    `yaml:"audit" doc:"The record of who changed what."`
	Tokens     string                   `yaml:"tokens" doc:"The token store: a file, or a directory with tokens.json in it. Empty: RPIPE_TOKENS, or rpipe/tokens.json in the user's configuration directory, as for rpipe token."`
	Data       string                   `yaml:"data" doc:"Directory of the store. Empty: RPIPE_DATA, or rpipe in the user's state directory (XDG_STATE_HOME, ~/.local/state). One server at a time may have it."`
	Durability string                   `yaml:"durability" default:"always" doc:"When what was acknowledged is on the disk: always, before; or interval:200ms, at most so long after, which is faster and loses that much where the power fails. Killing the process loses nothing in either."`
	MaxStore   configs.Size             `yaml:"max_store" default:"0" doc:"Disk that the store may take. Submissions are refused beyond it. 0 is no limit."`
	NATS       NATS                     `yaml:"nats" doc:"The engine, where workers on other machines reach it, or where it is elsewhere itself."`
	Workers    Workers                  `yaml:"workers" doc:"The R processes of the server's own machine."`
	R          RBlock                   `yaml:"r" doc:"What R has loaded before a task of the environment default, and which R it is."`
	Startup    []Script                 `yaml:"startup" doc:"R code that is run once when the server starts, in order, before a task begins or a request is answered: to make directories, to fetch what tasks need, to look whether a database is there. What every R process has loaded is said by r."`

	Pools map[string]proxy.Pool `yaml:"pools" doc:"Sets of R workers for apis, by name. default is there without being named; tasks is that of the tasks, which workers describes."`
	APIs  []proxy.API           `yaml:"apis" doc:"plumber APIs and others that are served below a path of the same address, beside the REST API."`

	Schedules []Schedule       `yaml:"schedules" doc:"R functions, expressions and scripts that run by the clock, as jobs of the task queue."`
	Pipelines pipelines.Config `yaml:"pipelines" doc:"A directory of pipelines that the server runs, by their schedules or by hand."`

	Values    Values           `yaml:"values" doc:"Where values go that are too large for a record."`
	Limits    Limits           `yaml:"limits" doc:"What is taken from a request."`
	Dashboard dashboard.Config `yaml:"dashboard" doc:"The pages under /ui/."`
	Retention Retention        `yaml:"retention" doc:"How long things are kept."`
	Log       front.Log        `yaml:"log" doc:"The program's log, and the access log."`
	Tracing   trace.Config     `yaml:"tracing" doc:"Sends traces to an OpenTelemetry collector."`
	Grace     configs.Duration `yaml:"grace" default:"30s" min:"1ms" doc:"How long tasks and requests may take to finish after SIGINT or SIGTERM. Tasks that are not done then go back to their queue."`

	Path string            `yaml:"-"` // as the user gave it; "" where there is none
	doc  *configs.Document // nil without a file
	vars map[string]string // of -v
}

// Listen is where the REST API is.
type Listen struct {
	Address         string           `yaml:"address" default:"127.0.0.1:7033" doc:"Where to listen: host:port, :port for all addresses of the machine, or the path of a Unix socket. Elsewhere than on this machine it wants tokens in the store, or client_ca."`
	TLS             *front.TLS       `yaml:"tls" doc:"Serves HTTPS. Without it HTTP is served."`
	MaxConnections  int              `yaml:"max_connections" default:"4096" min:"1" doc:"Connections at once. More wait in the system's queue until one ends."`
	TrustedProxies  []front.Network  `yaml:"trusted_proxies" scalar:"true" example:"[loopback, 10.0.0.0/8]" doc:"Proxies in front of this server that are believed who the client is. Empty believes nobody."`
	ForwardedHeader string           `yaml:"forwarded_header" default:"x-forwarded-for" enum:"x-forwarded-for|forwarded" doc:"Where trusted proxies say who the client is."`
	BodyTimeout     configs.Duration `yaml:"body_timeout" default:"30s" min:"1ms" doc:"Time for a body, to which a second for each KiB is added. A client that is slower gets 408."`
	DrainDelay      configs.Duration `yaml:"drain_delay" default:"0" doc:"How long to go on as before once shutdown has begun and readiness is gone, so that a load balancer notices. 0 is not at all."`
	Names           []string         `yaml:"names" scalar:"true" example:"[tasks.example.com]" doc:"Names by which browsers may ask without a token, beside localhost and this machine's own: without this, a page of another site could have its own name lead here."`
}

// Shorthand lets the address stand for the mapping.
func (Listen) Shorthand() string { return "address" }

// NATS is the engine.
type NATS struct {
	Listen      string           `yaml:"listen" example:"0.0.0.0:7422" doc:"Lets workers on other machines reach the embedded engine: an address of its own, always with TLS and keys. rpipe serve prints what rpipe worker needs. Empty: it has no port at all."`
	Hosts       []string         `yaml:"hosts" scalar:"true" example:"[tasks.example.com]" doc:"Names or addresses by which workers reach it. Empty: that of listen, or this machine's own name."`
	URLs        []string         `yaml:"urls" scalar:"true" example:"[nats://a:4222, nats://b:4222, nats://c:4222]" doc:"Servers elsewhere, in place of the embedded engine."`
	Credentials string           `yaml:"credentials" doc:"File with the credentials for those servers."`
	CA          string           `yaml:"ca" doc:"File with the authorities of their certificates, in PEM, beside the system's."`
	Replicas    int              `yaml:"replicas" default:"0" min:"0" max:"5" doc:"How many of those servers have each record. 0 is 3 where there are three or more, otherwise 1."`
	Lease       configs.Duration `yaml:"lease" default:"30s" min:"1s" doc:"A worker that is not heard of for so long has lost its tasks."`
}

// Workers are the R processes of the server's own machine.
type Workers struct {
	None        bool             `yaml:"none" doc:"Runs no tasks here: rpipe worker does, elsewhere."`
	Queues      []string         `yaml:"queues" default:"[default]" scalar:"true" min:"1" doc:"Queues that tasks are taken from, in order of priority."`
	Min         int              `yaml:"min" default:"0" min:"0" doc:"R processes that are kept up."`
	Max         int              `yaml:"max" default:"0" min:"0" doc:"R processes at most. 0 is one for each core."`
	Reserve     *int             `yaml:"reserve" min:"0" doc:"R processes that tasks may not take, where apis are on the pool tasks. Without it 1, or 0 where max is 1."`
	MaxMemory   configs.Size     `yaml:"max_memory" default:"0" doc:"Resident memory of one R process. A task that takes it beyond ends. 0 is no limit."`
	MaxTasks    int              `yaml:"max_tasks" default:"0" min:"0" doc:"An R process is replaced after about so many tasks. 0 is never."`
	IdleTimeout configs.Duration `yaml:"idle_timeout" default:"5m" doc:"An R process above min without a task ends after it."`
	LogTasks    bool             `yaml:"log_tasks" doc:"The worker's log names each task."`
	Cache       string           `yaml:"cache" doc:"Directory for large values on their way to R. Empty: cache in the data directory."`
	MaxCache    configs.Size     `yaml:"max_cache" default:"4GiB" doc:"Bytes that stay in it while nobody needs them."`
}

// RBlock is what R has loaded.
type RBlock struct {
	rblock.Block `yaml:",inline"`
	Limits       rblock.Limits `yaml:"limits" doc:"What the kernel holds an R process to."`
}

// Values is where values go that are too large for a record.
type Values struct {
	Dir    string       `yaml:"dir" doc:"A directory that all machines share. Empty: the engine keeps them."`
	S3     string       `yaml:"s3" example:"s3://bucket/tasks" doc:"A prefix of objects on S3, in place of a directory."`
	Bucket store.Config `yaml:"s3_options" doc:"How S3 is reached."`
}

// Limits are what is taken from a request.
type Limits struct {
	Body            configs.Size     `yaml:"body" default:"64MiB" min:"1KiB" doc:"Largest body of a submission or of another request; more gets 413. Larger arguments are put as values before."`
	Value           configs.Size     `yaml:"value" default:"16GiB" min:"1KiB" doc:"Largest value that can be put."`
	Depth           int              `yaml:"json_depth" default:"100" min:"1" max:"1000" doc:"How deep JSON may be nested."`
	Tasks           int              `yaml:"tasks" default:"1000000" min:"1" doc:"Tasks of one job."`
	IDs             int              `yaml:"ids" default:"100000" min:"1" doc:"Ids in one request."`
	Streams         int              `yaml:"streams" default:"1000" min:"1" doc:"Streams of events, logs to follow, and waiting requests at once. More get 503."`
	StreamsPerOwner int              `yaml:"streams_per_owner" default:"250" min:"1" doc:"How many of those one owner may have at once. More get 429."`
	Wait            configs.Duration `yaml:"wait" default:"1m" min:"1s" doc:"Longest time that a request waits for tasks; clients ask again."`
}

// Retention is how long things are kept.
type Retention struct {
	Results configs.Duration `yaml:"results" default:"0" doc:"Tasks and their results go so long after their end, unless a submission says otherwise. 0 is never."`
}

// Check implements configs.Checker.
func (f *File) Check(report func(field, message, hint string)) {
	f.checkSchedules(report)
	if _, err := broker.ParseDurability(f.Durability); err != nil {
		report("durability", err.Error(), "such as always, or interval:200ms")
	}
	for i, q := range f.Workers.Queues {
		if err := tasks.CheckName("a queue", q); err != nil {
			report(fmt.Sprintf("workers.queues[%d]", i), err.Error(), "")
		} else if slices.Contains(f.Workers.Queues[:i], q) {
			report(fmt.Sprintf("workers.queues[%d]", i), "stands there twice", "")
		}
	}
	if w := f.Workers; w.Max > 0 && w.Min > w.Max {
		report("workers.min", "is larger than max", "lower it, or raise max")
	}
	if f.Values.Dir != "" && f.Values.S3 != "" {
		report("values.s3", "stands beside dir", "values go to one place")
	}
	if f.Values.S3 != "" {
		if _, err := store.Parse(f.Values.S3); err != nil {
			report("values.s3", err.Error(), "such as s3://bucket/tasks")
		}
	}
	f.checkAPIs(report)
}

// absent are files that the file names and that are not there.
func (f *File) absent() configs.Problems {
	problems := f.mounted().Missing()
	for i, c := range f.Startup {
		if info, err := os.Stat(f.below(c.File)); c.File != "" && (err != nil || info.IsDir()) {
			problems = append(problems, f.doc.Problem(fmt.Sprintf("startup[%d].file", i), c.File+": no such file", "it is looked for from the directory of "+f.Path))
		}
	}
	return problems
}

// Check implements configs.Checker.
func (n *NATS) Check(report func(field, message, hint string)) {
	if len(n.URLs) > 0 && n.Listen != "" {
		report("listen", "stands beside urls", "the embedded engine does not run where there are servers elsewhere: workers go to those")
	}
	for i, u := range n.URLs {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, parsed.Scheme) {
			report(fmt.Sprintf("urls[%d]", i), "is no address of a NATS server", "such as nats://host:4222, or tls://host:4222")
		}
	}
	if len(n.URLs) == 0 && n.Credentials != "" {
		report("credentials", "are for servers elsewhere, and there are no urls", "")
	}
}

// Check implements configs.Checker.
func (l *Listen) Check(report func(field, message, hint string)) {
	f := l.front()
	f.Check(report)
}

// front is the listener as package front takes it.
func (l *Listen) front() front.Listen {
	var f front.Listen
	configs.SetDefaults(&f)
	f.Address, f.TLS, f.MaxConnections = l.Address, l.TLS, l.MaxConnections
	f.TrustedProxies, f.ForwardedHeader = l.TrustedProxies, l.ForwardedHeader
	f.BodyTimeout, f.DrainDelay = l.BodyTimeout, l.DrainDelay
	return f
}

// Load reads rpipe.yaml. vars are the values of -v name=value, which win over the
// environment. The File is usable unless a problem is an error.
func Load(path string, vars map[string]string) (*File, configs.Problems) {
	data, err := os.ReadFile(path)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = "rpipe serve runs without a file too"
		}
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, configs.Problems{{File: path, Message: "cannot be read: " + err.Error(), Hint: hint}}
	}
	f := &File{Path: path, vars: vars}
	doc, problems := configs.Load(path, data, configs.Variables{Flags: vars, Env: os.LookupEnv}, f)
	if doc == nil {
		return nil, problems
	}
	f.doc = doc
	return f, append(problems, f.absent()...)
}

// Defaults is the file that says nothing.
func Defaults() *File {
	f := new(File)
	configs.SetDefaults(f)
	return f
}

// Dir is the directory that relative paths start from: the file's, or the current one.
func (f *File) Dir() string {
	dir := "."
	if f.Path != "" {
		dir = filepath.Dir(f.Path)
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// below is path, relative to the file.
func (f *File) below(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(f.Dir(), path)
}

// DataDir is where the store is.
func (f *File) DataDir() (string, error) {
	if f.Data != "" {
		return f.below(f.Data), nil
	}
	return api.DataDir()
}
