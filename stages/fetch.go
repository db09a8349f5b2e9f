package stages

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/webapi"
)

// Fetch makes one or several HTTP requests for each row, and adds what it wants
// of the answers as columns. Many rows have their requests under way at once,
// and a row goes on as soon as its answers are there, whatever others wait for.
//
// Requests are at least once: what was under way at a crash is sent again.
type Fetch struct {
	FetchRequest  `yaml:",inline"`
	Requests      []NamedRequest `yaml:"requests" doc:"Several requests for each row in place of one, made one after the other. Later ones may use the answers of earlier ones, as {name.path}."`
	webapi.Config `yaml:",inline"`
	InFlight      int                 `yaml:"in_flight" default:"16" min:"1" max:"10000" doc:"Requests under way at once. One that waits to be sent again does not count."`
	Ordered       bool                `yaml:"ordered" default:"false" doc:"Keep the order of the rows: a slow request then holds back those behind it. Without it rows go on as their answers come."`
	InferRows     int                 `yaml:"infer_rows" default:"100" min:"1" max:"100000" doc:"From how many rows the types of columns are inferred that response.columns gives no type. They go on together."`
	Cache         *webapi.CacheConfig `yaml:"cache" doc:"Keeps answers on disk, so that a run that is repeated or resumed does not ask twice."`
	OnError       string              `yaml:"on_error" default:"stop" enum:"stop|skip|dead_letter" doc:"What to do with rows whose requests failed for good: stop ends the run; skip drops the rows and counts them; dead_letter writes them to the pipeline's dead_letter with the error, and goes on. Wrong certificates and, before the first good answer, 401 and 403 end the run in any case."`
	MaxFailed     *MaxFailed          `yaml:"max_failed" doc:"Ends a run that skips or sets aside too many rows."`
}

// FetchRequest is one request of a row. Texts in braces are the row's: {column},
// or an earlier request's answer, {request.path}. A value is escaped for where it
// stands. A missing one is an error of its row, unless it is {column?}, which is
// nothing, or {column?default}; in a JSON body it is null. {{ is a brace.
type FetchRequest struct {
	Method         string        `yaml:"method" default:"GET" enum:"GET|HEAD|POST|PUT|PATCH|DELETE" doc:"The method."`
	URL            string        `yaml:"url" doc:"Where to, with places for the row's values: {column}, {column?default}, {request.path}." example:"https://api.example.com/orders/{id}"`
	Params         configs.Pairs `yaml:"params" doc:"Parameters for the query, name to value, with places. One that is a missing {column?} alone is left out." example:"{page: '1', since: '{date?}'}"`
	Body           any           `yaml:"body" doc:"What to send: a mapping or list is sent as JSON, in which '{column}' alone is a number for a number and null for a missing value; a text is sent as it is, with its values escaped for JSON where it begins like JSON."`
	When           string        `yaml:"when" doc:"A column of type bool: only for rows where it is true the request is made; its columns are missing for the others."`
	Idempotent     bool          `yaml:"idempotent" default:"false" doc:"The request may be sent twice though its method is POST or PATCH."`
	IdempotencyKey string        `yaml:"idempotency_key" doc:"The header Idempotency-Key, by which the server knows a request that it has had: the same at each try and when the run is resumed. The request may then be sent twice." example:"order-{id}"`
	Accept         []string      `yaml:"accept" default:"[2xx]" scalar:"true" doc:"Statuses that are answers; any other is an error. Of an answer with 300 and above no columns are taken: they are missing." example:"[2xx, 404]"`
	Response       FetchResponse `yaml:"response" doc:"Which columns come of the answer. Without it each key of the JSON object is one."`
}

// NamedRequest is one of several requests of a row.
type NamedRequest struct {
	Name         string        `yaml:"name" required:"true" doc:"What later requests call it: letters, digits and _." example:"user"`
	Headers      configs.Pairs `yaml:"headers" doc:"Headers of this request beside those of all."`
	FetchRequest `yaml:",inline"`
}

// Check implements configs.Checker.
func (c *Fetch) Check(report func(field, message, hint string)) {
	switch {
	case len(c.Requests) == 0 && c.URL == "":
		report("url", "is required", "such as url: https://api.example.com/orders/{id}")
	case len(c.Requests) > 0 && c.URL != "":
		report("requests", "stands beside url", "make the one with url an item of requests")
	case len(c.Requests) > 0 && (c.Body != nil || len(c.Params) > 0 || c.IdempotencyKey != "" || c.When != ""):
		report("requests", "stands beside what belongs to one request", "put params, body, when and idempotency_key into an item of requests")
	}
	seen := map[string]bool{}
	for i, r := range c.Requests {
		field := fmt.Sprintf("requests[%d].name", i)
		if r.Name != "" && !requestName.MatchString(r.Name) {
			report(field, fmt.Sprintf("%q is no name: letters, digits and _, a letter first", r.Name), "")
		}
		if seen[r.Name] {
			report(field, "another request has this name: "+r.Name, "")
		}
		seen[r.Name] = true
		if r.URL == "" {
			report(fmt.Sprintf("requests[%d].url", i), "is required", "")
		}
	}
	for _, r := range c.requests() {
		r.check(c, report)
	}
	each := 0
	for _, r := range c.requests() {
		if r.Response.Each != "" {
			each++
		}
	}
	if each > 1 {
		report("requests", "more than one has response.each", "rows can be made of one list alone; use two fetch stages")
	}
}

var requestName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// Warn implements configs.Warner.
func (c *Fetch) Warn(report func(field, message, hint string)) {
	for _, r := range c.requests() {
		if slices.Contains([]string{"POST", "PATCH"}, r.Method) && !r.Idempotent && r.IdempotencyKey == "" {
			report(r.field("method"), fmt.Sprintf("a %s is sent once by each try of the run, but may be sent again by a run that is resumed, and is not tried again when its answer is lost", r.Method),
				"say idempotency_key: '{id}' if the server knows the header, or idempotent: true if twice does no harm")
		}
		if t, err := webapi.ParseTemplate(r.URL, webapi.URL); err == nil && t.Open() && c.Auth != nil {
			report(r.field("url"), "its host comes from the rows, and auth is sent to it", "write the host out")
		}
		webapi.WarnHeaders(r.headers, func(name, message, hint string) { report(r.field("headers."+name), message, hint) })
	}
	c.warnRate(report)
}

func (c *Fetch) warnRate(report func(field, message, hint string)) {
	if c.Rate == nil {
		return
	}
	if c.Rate.Burst > c.InFlight {
		report("rate.burst", fmt.Sprintf("is more than in_flight, %d, which no burst can pass", c.InFlight), "")
	}
	if wait := float64(c.InFlight) / c.Rate.Limit.PerSecond(); wait > time.Minute.Seconds() && c.InFlight > 1 {
		text, _ := c.Rate.Limit.MarshalText()
		report("in_flight", fmt.Sprintf("%d requests wait for their turn at %s, the last one for %v; fewer are as fast",
			c.InFlight, text, time.Duration(wait*float64(time.Second)).Round(time.Second)), "")
	}
}

// DeadLetters reports whether rows that fail go to the dead letter.
func (c *Fetch) DeadLetters() bool { return c.OnError == "dead_letter" }

// fetchRequest is one request with what the stage says of all.
type fetchRequest struct {
	*FetchRequest
	name    string // "" for the only one
	path    string // of its keys in the configuration, "" or requests[1].
	headers configs.Pairs
}

func (r *fetchRequest) field(name string) string { return r.path + name }

// label is what errors call the request; "" where it is the only one.
func (r *fetchRequest) label() string {
	if r.name == "" {
		return ""
	}
	return r.name + ": "
}

// requests are those of a row, in their order.
func (c *Fetch) requests() []*fetchRequest {
	if len(c.Requests) == 0 {
		return []*fetchRequest{{FetchRequest: &c.FetchRequest}}
	}
	out := make([]*fetchRequest, len(c.Requests))
	for i := range c.Requests {
		r := &c.Requests[i]
		out[i] = &fetchRequest{&r.FetchRequest, r.Name, fmt.Sprintf("requests[%d].", i), r.Headers}
	}
	return out
}

// check reports what is wrong with one request.
func (r *fetchRequest) check(c *Fetch, report func(field, message, hint string)) {
	if r.Body != nil && (r.Method == "GET" || r.Method == "HEAD") {
		report(r.field("body"), "a "+r.Method+" has no body", "say method: POST, or put it into params")
	}
	webapi.CheckHeaders(r.headers, func(name, message, hint string) { report(r.field("headers."+name), message, hint) })
	if r.Response.Each == "" || r.Response.Format == "json" {
		r.Response.check(func(field, message, hint string) { report(r.field("response"+field), message, hint) })
	} else {
		report(r.field("response.each"), "needs format: json", "")
	}
	if r.URL == "" {
		return
	}
	if _, err := r.compile(c, earlier(c, r)); err != nil {
		field, message, _ := strings.Cut(err.Error(), ": ")
		report(r.field(field), message, "")
	}
}

// earlier are the names of the requests before r.
func earlier(c *Fetch, r *fetchRequest) []string {
	var names []string
	for i := range c.Requests {
		if c.Requests[i].Name == r.name {
			break
		}
		names = append(names, c.Requests[i].Name)
	}
	return names
}
