package plumber

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// about is what the R side says of an API once it is loaded: about.R.
type about struct {
	Docs    string            `json:"docs"`     // path of the documentation, "" for none
	MaxSize float64           `json:"max_size"` // plumber.maxRequestSize; 0 is none
	Hooked  bool              `json:"hooked"`   // hooks see every request
	Own404  bool              `json:"own_404"`
	Unsafe  string            `json:"unsafe"` // why it cannot be forked
	Types   map[string]string `json:"types"`  // content types by file extension
	Router  router            `json:"router"`

	files bool // static files may be served without R
}

// router is a plumber router, with everything in the order in which plumber looks.
type router struct {
	Open      bool       `json:"open"` // no filters but plumber's own
	Endpoints []endpoint `json:"endpoints"`
	Mounts    []mount    `json:"mounts"`
	opaque    bool       // an endpoint's pattern means nothing to Go
}

type endpoint struct {
	Verbs []string `json:"verbs"`
	Path  string   `json:"path"`
	Regex string   `json:"regex"` // plumber's own, for ICU

	literal string // the only path that it matches; "" where re says
	re      *regexp.Regexp
}

// mount is a router or a directory of files below a path, which ends in a slash.
type mount struct {
	Path   string  `json:"path"`
	Dir    string  `json:"dir"`
	Router *router `json:"router"`
}

func (a *about) read(text string) error {
	if text == "" {
		return errors.New("nothing")
	}
	if err := json.Unmarshal([]byte(text), a); err != nil {
		return err
	}
	a.Router.compile()
	return nil
}

func (rt *router) compile() {
	for i := range rt.Endpoints {
		e := &rt.Endpoints[i]
		if e.Regex == "^"+e.Path+"$" && regexp.QuoteMeta(e.Path) == e.Path {
			e.literal = e.Path
			continue
		}
		re, err := regexp.Compile(e.Regex)
		if err != nil {
			rt.opaque = true
			continue
		}
		e.re = re
	}
	for _, m := range rt.Mounts {
		if m.Router != nil {
			m.Router.compile()
		}
	}
}

// nobodyLooks reports whether a request that no route matches is seen by nothing
// of the API's.
func (a *about) nobodyLooks() bool {
	return a.Router.Open && !a.Router.opaque && !a.Hooked && !a.Own404
}

// match is where a request goes.
type match struct {
	route string // the pattern, from the root; "" for none
	file  string // path below dir that plumber would look for; "" where R must
	dir   string
}

// find follows a request as Plumber$route() does. The path is percent-encoded, at
// is that of the routers above, and open says that no filter of theirs looks.
func (rt *router) find(method, path, at string, open bool) match {
	open = open && rt.Open && !rt.opaque
	other := ""
	for i := range rt.Endpoints {
		e := &rt.Endpoints[i]
		if !e.matches(path) {
			continue
		}
		if slices.Contains(e.Verbs, method) {
			return match{route: at + e.Path}
		}
		if other == "" { // of another method: 405
			other = at + e.Path
		}
	}
	for i := range rt.Mounts {
		m := &rt.Mounts[i]
		if !strings.HasPrefix(path, m.Path) {
			continue
		}
		rest := path[len(m.Path)-1:]
		if m.Router != nil {
			if found := m.Router.find(method, rest, at+strings.TrimSuffix(m.Path, "/"), open); found.route != "" {
				return found
			}
			break
		}
		found := match{route: at + m.Path + "*"}
		if open {
			found.file, found.dir = rest, m.Dir
		}
		return found
	}
	return match{route: other}
}

func (e *endpoint) matches(path string) bool {
	if e.literal != "" {
		return path == e.literal
	}
	return e.re != nil && e.re.MatchString(path)
}
