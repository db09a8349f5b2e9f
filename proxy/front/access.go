package front

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// Log says what is written of each request, and how the program's own log is.
type Log struct {
	logs.Config `yaml:",inline"`

	Access string           `yaml:"access" default:"auto" enum:"auto|json|combined|off" doc:"The access log. json: an object a line; combined: Apache's format with the seconds in the queue, in R and altogether at its end; off: none; auto: json where format is, else combined."`
	File   string           `yaml:"file" default:"stdout" doc:"Where it goes: stdout, stderr, or a file, to which it is appended. A file that was moved is opened anew on SIGHUP."`
	Slow   configs.Duration `yaml:"slow" default:"0" doc:"Requests that take longer are written to the program's log too, as warnings. 0 is none."`
	Query  bool             `yaml:"query" default:"true" doc:"Writes the query of a URL, too."`
	Redact []string         `yaml:"redact" default:"[token, access_token, id_token, refresh_token, api_key, apikey, key, secret, client_secret, password, pwd, auth, signature, sig, code]" doc:"Parameters of queries whose values are written as ***, in capitals or not."`
}

// accessLog writes a line for each request. It is safe for concurrent use.
type accessLog struct {
	config Log
	path   string // "" for a stream
	log    *slog.Logger
	redact map[string]bool

	mu     sync.Mutex
	out    io.Writer
	file   *os.File
	broken bool // the last line could not be written, and that was said
}

func openAccessLog(c Log, dir string, log *slog.Logger) (*accessLog, error) {
	if c.Access == "auto" {
		c.Access = "combined"
		if c.Format == "json" {
			c.Access = "json"
		}
	}
	a := &accessLog{config: c, log: log, redact: map[string]bool{}}
	for _, name := range c.Redact {
		a.redact[strings.ToLower(name)] = true
	}
	switch {
	case c.Access == "off" || c.Access == "":
		return a, nil
	case c.File == "stdout" || c.File == "":
		a.out = os.Stdout
	case c.File == "stderr":
		a.out = os.Stderr
	default:
		a.path = beside(dir, c.File)
	}
	return a, a.reopen()
}

// reopen opens the file anew.
func (a *accessLog) reopen() error {
	if a.path == "" {
		return nil
	}
	file, err := os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open the access log: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.file
	a.file, a.out = file, file
	if old != nil {
		return old.Close()
	}
	return nil
}

func (a *accessLog) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		a.file.Close()
		a.file, a.out = nil, nil
	}
}

// entry is a line of the access log. Times are in seconds.
type entry struct {
	Time      string  `json:"time"`
	Level     string  `json:"level"`
	Msg       string  `json:"msg"`
	ID        string  `json:"request"`
	Trace     string  `json:"trace,omitempty"`
	Client    string  `json:"client"`
	Method    string  `json:"method"`
	Path      string  `json:"path"`
	Protocol  string  `json:"protocol"`
	Status    int     `json:"status"`
	Bytes     int64   `json:"bytes"`
	Duration  float64 `json:"duration"`
	Queue     float64 `json:"queue"`
	R         float64 `json:"r"`
	API       string  `json:"api,omitempty"`
	Route     string  `json:"route,omitempty"`
	Worker    int     `json:"pid,omitempty"`
	Attempts  int     `json:"attempts,omitempty"`
	Owner     string  `json:"owner,omitempty"`
	UserAgent string  `json:"user_agent,omitempty"`
	Error     string  `json:"error,omitempty"`
}

var lines = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// write writes the line of a request, and that of a slow one.
func (a *accessLog) write(w *writer, r *http.Request, x *exchange.Exchange, took time.Duration) {
	slow := a.config.Slow > 0 && took > time.Duration(a.config.Slow)
	if a.config.Access == "off" || a.config.Access == "" {
		if !slow {
			return
		}
	}
	e := entry{
		Time: x.Start.UTC().Format("2006-01-02T15:04:05.000000Z"), Level: "INFO", Msg: "request", ID: x.ID, Trace: x.Trace, Client: clientName(x),
		Method: r.Method, Path: or(x.Target, a.target(r.RequestURI)), Protocol: r.Proto, Status: w.status, Bytes: w.written,
		Duration: seconds(took), Queue: seconds(x.Queue), R: seconds(x.R),
		API: x.API, Route: x.Route, Worker: x.Worker, Attempts: x.Attempts, Owner: x.Owner, UserAgent: r.UserAgent(),
	}
	if x.Err != nil {
		e.Error = fault.Of(x.Err).Reason
	}
	if slow {
		a.log.Warn("slow request", logs.Request, e.ID, "client", e.Client, "method", e.Method, "path", e.Path, "status", e.Status,
			"took", took, "queue", x.Queue, "r", x.R, "api", e.API, "route", e.Route, "worker", e.Worker, "error", e.Error)
	}
	b := lines.Get().(*bytes.Buffer)
	defer lines.Put(b)
	b.Reset()
	switch a.config.Access {
	case "json":
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(&e); err != nil {
			return
		}
	case "combined":
		a.combined(b, &e, x.Start, r.Referer())
	default:
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out == nil {
		return
	}
	_, err := a.out.Write(b.Bytes())
	if err != nil && !a.broken {
		a.log.Error("the access log cannot be written", "error", err)
	}
	a.broken = err != nil
}

// combined is Apache's format, and three times.
func (a *accessLog) combined(b *bytes.Buffer, e *entry, at time.Time, referer string) {
	fmt.Fprintf(b, "%s - %s [%s] %s %d %d %s %s %.6f %.6f %.6f\n",
		e.Client, or(word(e.Owner), "-"), at.Format("02/Jan/2006:15:04:05 -0700"),
		quoted(e.Method+" "+e.Path+" "+e.Protocol), e.Status, e.Bytes,
		quoted(or(a.target(referer), "-")), quoted(or(e.UserAgent, "-")), e.Queue, e.R, e.Duration)
}

// quoted is s in quotes, on one line, as Apache escapes it.
func quoted(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return strconv.QuoteToASCII(s)
		}
	}
	return `"` + s + `"`
}

// word is s without what would end a field.
func word(s string) string {
	if strings.ContainsAny(s, " \t\r\n\"[]\\") {
		return quoted(s)
	}
	return s
}

// longestTarget is how much of a path and query a line has.
const longestTarget = 8 << 10

// target is the path and query of a request as it may be written down.
func (a *accessLog) target(uri string) string {
	uri = withoutTokens(uri)
	if len(uri) > longestTarget {
		uri = uri[:longestTarget] + "…"
	}
	path, query, has := strings.Cut(uri, "?")
	if !has {
		return uri
	}
	if !a.config.Query {
		return path
	}
	if len(a.redact) == 0 {
		return uri
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		name, _, valued := strings.Cut(p, "=")
		if valued && a.redact[strings.ToLower(unescaped(name))] {
			parts[i] = name + "=***"
		}
	}
	return path + "?" + strings.Join(parts, "&")
}

// unescaped is a name as a server reads it: to%6ben is token.
func unescaped(name string) string {
	if s, err := url.QueryUnescape(name); err == nil {
		return s
	}
	return name
}

func clientName(x *exchange.Exchange) string {
	if !x.Client.IsValid() {
		return "unix"
	}
	return x.Client.String()
}

// seconds is d in seconds, to the microsecond.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }
