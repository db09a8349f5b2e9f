package front

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tokens"
)

// Policy is who may ask an API what, how often, and how much comes in and goes out.
type Policy struct {
	Auth      *Auth      `yaml:"auth" doc:"Who may ask. Everybody without it."`
	Allow     []Network  `yaml:"allow" scalar:"true" example:"[loopback, 10.0.0.0/8]" doc:"From where: addresses, networks such as 10.0.0.0/8, loopback, private or unix. Others get 403. Everywhere where it is empty."`
	CORS      *CORS      `yaml:"cors" doc:"Which pages of other sites may ask from a browser. Preflight requests are answered without R."`
	RateLimit *RateLimit `yaml:"rate_limit" doc:"How often one client may ask; more gets 429."`

	MaxBody     configs.Size `yaml:"max_body" default:"64MiB" doc:"Largest body of a request; more gets 413. 0 is no limit."`
	MemoryBody  configs.Size `yaml:"memory_body" default:"1MiB" doc:"Bodies up to it are held in memory, others in a file, until their request has been answered."`
	BufferBody  bool         `yaml:"buffer_body" default:"true" doc:"Takes in the whole body before anybody works on the request, so that a slow client holds no R worker. Off, it streams through, where the API can do that."`
	MaxResponse configs.Size `yaml:"max_response" default:"0" doc:"Largest body of an answer; in place of a larger one the client gets 500. 0 is no limit but R's own."`
	Compress    *Compress    `yaml:"compress" doc:"Compresses answers with gzip for clients that take it."`

	Routes []Route `yaml:"routes" doc:"Paths with rules of their own. The first that matches is taken; what it leaves out is as above."`
}

// Route is a path within an API with rules of its own.
type Route struct {
	Path      string        `yaml:"path" required:"true" example:"/admin/*" doc:"The path below the API's own, or, with * at its end, all that begin like that."`
	Methods   []string      `yaml:"methods" scalar:"true" doc:"HTTP methods; all where it is empty. GET includes HEAD."`
	Auth      *Auth         `yaml:"auth" doc:"Who may ask."`
	Allow     []Network     `yaml:"allow" scalar:"true" doc:"From where."`
	CORS      *CORS         `yaml:"cors" doc:"Which pages of other sites may ask from a browser."`
	RateLimit *RateLimit    `yaml:"rate_limit" doc:"How often one client may ask. It counts by itself."`
	MaxBody   *configs.Size `yaml:"max_body" doc:"Largest body of a request. 0 is no limit."`
}

// Auth is who may ask. Either kind that is set lets in.
type Auth struct {
	Bearer bool     `yaml:"bearer" doc:"Lets in who shows a token, as Authorization: Bearer. Tokens are made by rpipe token create."`
	Scopes []string `yaml:"scopes" default:"[proxy]" scalar:"true" min:"1" enum:"submit|read|admin|proxy" doc:"What a token must be good for: one of these."`
	Basic  []User   `yaml:"basic" doc:"Lets in these users by their passwords, as Authorization: Basic. Use TLS with it."`
	Realm  string   `yaml:"realm" default:"rpipe" doc:"What a browser shows when it asks for a password."`
	Public bool     `yaml:"public" doc:"Lets everybody in: for a route of an API that does not."`
}

// User is a name with a password.
type User struct {
	Name     string         `yaml:"name" required:"true" doc:"The name."`
	Hash     configs.Secret `yaml:"hash" doc:"The password's bcrypt hash, as htpasswd -nB makes it."`
	Password configs.Secret `yaml:"password" example:"${ANN_PASSWORD}" doc:"The password itself: from the environment, not in the file."`
}

// CORS is which pages of other sites may ask.
type CORS struct {
	Origins     []string         `yaml:"origins" required:"true" scalar:"true" example:"[https://example.com]" doc:"Their origins, such as https://example.com. One * may stand in each; \"*\" alone is every site."`
	Methods     []string         `yaml:"methods" default:"[GET, HEAD, POST, PUT, PATCH, DELETE]" doc:"What they may do."`
	Headers     []string         `yaml:"headers" default:"[\"*\"]" doc:"Headers that they may send."`
	Expose      []string         `yaml:"expose" default:"[X-Request-Id]" doc:"Headers of answers that they may read."`
	Credentials bool             `yaml:"credentials" doc:"Lets browsers send cookies and passwords along."`
	MaxAge      configs.Duration `yaml:"max_age" default:"10m" doc:"How long a browser remembers the answer to a preflight request."`
}

// RateLimit is how often one client may ask.
type RateLimit struct {
	Rate    float64 `yaml:"rate" required:"true" doc:"Requests a second; 0.5 is one in two seconds."`
	Burst   int     `yaml:"burst" default:"0" min:"0" doc:"Requests at once after a pause. 0 is what comes in one second, at least 1."`
	By      string  `yaml:"by" default:"client" doc:"Who one client is: client (its address; IPv6 by /64), owner (of the token, or the user), or header:NAME, for clients that one can believe."`
	Clients int     `yaml:"clients" default:"10000" min:"1" doc:"How many clients are remembered. Beyond it, who asked longest ago is forgotten."`
}

// Compress is what is compressed.
type Compress struct {
	Types []string     `yaml:"types" default:"[text/html, text/css, text/plain, text/csv, text/xml, text/javascript, application/json, application/javascript, application/xml, application/x-ndjson, image/svg+xml]" doc:"Content types. Streams of events are never compressed."`
	Min   configs.Size `yaml:"min" default:"1KiB" doc:"Smallest answer."`
	Level int          `yaml:"level" default:"5" min:"1" max:"9" doc:"1 is fastest, 9 smallest."`
}

// Check implements configs.Checker.
func (a *Auth) Check(report func(field, message, hint string)) {
	switch {
	case a.Public && (a.Bearer || len(a.Basic) > 0):
		report("public", "lets everybody in, and others too", "keep either")
	case !a.Public && !a.Bearer && len(a.Basic) == 0:
		report("", "lets nobody in", "set bearer: true, basic or public: true")
	}
	seen := map[string]bool{}
	for _, u := range a.Basic {
		if seen[u.Name] {
			report("basic", "has the user "+u.Name+" twice", "keep one")
		}
		seen[u.Name] = true
	}
}

// Check implements configs.Checker.
func (u *User) Check(report func(field, message, hint string)) {
	if strings.Contains(u.Name, ":") {
		report("name", "has a colon, which ends the name in Basic authentication", "choose another")
	}
	if (u.Hash == "") == (u.Password == "") {
		report("", "needs either hash or password", "htpasswd -nB NAME makes a hash")
	}
	if u.Hash != "" {
		if _, err := bcrypt.Cost([]byte(u.Hash)); err != nil {
			report("hash", "is no bcrypt hash", "htpasswd -nB NAME makes one; it begins with $2")
		}
	}
	if len(u.Password) > 72 {
		report("password", "is longer than 72 bytes", "choose a shorter one")
	}
}

// Check implements configs.Checker.
func (c *CORS) Check(report func(field, message, hint string)) {
	for _, o := range c.Origins {
		switch {
		case o == "*" && c.Credentials:
			report("credentials", "cannot be had with every site as origin: any page could act for its visitors", "name the origins")
		case c.Credentials && loose(o):
			report("credentials", "cannot be had with an origin that anybody may have: "+o, "let a * stand before a dot, as in https://*.example.com, or be the port")
		case strings.Count(o, "*") > 1:
			report("origins", "has an origin with more than one *: "+o, "")
		case o != "*" && (!strings.Contains(o, "://") || strings.HasSuffix(o, "/")):
			report("origins", "has what is no origin: "+o, "such as https://example.com, without a path or a slash at its end")
		}
	}
}

// loose reports whether the * of an origin may be the end of a name that anybody
// registers: https://*example.com is https://evilexample.com, too.
func loose(origin string) bool {
	before, after, found := strings.Cut(origin, "*")
	return found && !strings.HasSuffix(before, ":") && !strings.HasPrefix(after, ".")
}

// Check implements configs.Checker.
func (l *RateLimit) Check(report func(field, message, hint string)) {
	if !(l.Rate > 0 && l.Rate <= 1e9) {
		report("rate", "must be more than 0, and at most 1e9", "")
	}
	if _, err := l.key(); err != nil {
		report("by", err.Error(), "client, owner or header:NAME")
	}
}

// Check implements configs.Checker.
func (r *Route) Check(report func(field, message, hint string)) {
	if !strings.HasPrefix(r.Path, "/") || strings.Contains(strings.TrimSuffix(r.Path, "*"), "*") {
		report("path", "must begin with /, and may have * at its end alone", "such as /admin/*")
	}
	for _, m := range r.Methods {
		if m != strings.ToUpper(m) || m == "" {
			report("methods", "has a method that is not in capitals: "+m, "such as GET")
		}
	}
}

// NeedsTokens reports whether some rule of the policy asks for bearer tokens.
func (p *Policy) NeedsTokens() bool {
	return p.Auth != nil && p.Auth.Bearer || slices.ContainsFunc(p.Routes, func(r Route) bool { return r.Auth != nil && r.Auth.Bearer })
}

func (l *RateLimit) key() (func(r *http.Request) string, error) {
	header, ok := strings.CutPrefix(l.By, "header:")
	switch {
	case l.By == "client", l.By == "":
		return byClient, nil
	case l.By == "owner":
		return byOwner, nil
	case ok && header != "":
		return func(r *http.Request) string { return r.Header.Get(header) }, nil
	}
	return nil, errors.New("is neither client nor owner nor header:NAME")
}

func (a *Auth) good(t tokens.Token) bool {
	return slices.ContainsFunc(a.Scopes, func(s string) bool { return t.Allows(tokens.Scope(s)) })
}
