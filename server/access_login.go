package server

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"math"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/server/audit"
	"github.com/rpipe-dev/rpipe/server/dashboard"
	"github.com/rpipe-dev/rpipe/server/session"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// Login is how people log in with a browser, and how guessing is slowed down.
type Login struct {
	Idle     configs.Duration `yaml:"idle" default:"12h" min:"1s" doc:"A log-in ends when nothing was asked with it for so long."`
	Lifetime configs.Duration `yaml:"lifetime" default:"7d" min:"1s" doc:"A log-in ends so long after it began, whatever was asked with it, and with its token in any case."`
	Failures int              `yaml:"failures" default:"10" min:"1" doc:"After so many unknown tokens from one address, within a quarter of an hour, it has to wait: a second, then two, four and so on. Tokens that were good before go on working."`
	MaxDelay configs.Duration `yaml:"max_delay" default:"5m" min:"1s" doc:"How long it has to wait at most."`
	Total    int              `yaml:"failures_per_minute" default:"600" min:"1" doc:"Unknown tokens a minute from all addresses together. Beyond it those whose token is not known to the server yet have to wait."`
}

// openSessions opens the file of log-ins. Without tokens nobody can log in.
func (s *Server) openSessions() error {
	if s.tokens == nil {
		return nil
	}
	l := &s.file.Login
	var err error
	s.sessions, err = session.Open(filepath.Join(s.data, "sessions.json"), s.tokens, session.Options{
		Idle: time.Duration(l.Idle), Lifetime: time.Duration(l.Lifetime), Log: s.log.With("part", "sessions"),
	})
	s.access.sessions = s.sessions
	return err
}

//go:embed login/login.html
var loginText string

//go:embed login/style.css
var loginStyle []byte

var loginPage = template.Must(template.New("login").Parse(loginText))

// handlePages adds the log-in to what is served.
func (s *Server) handlePages(mux *http.ServeMux, guard func(http.Handler) http.Handler) {
	handle := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, guard(h)) }
	handle("GET /login", s.showLogin)
	handle("POST /login", s.login)
	handle("POST /logout", s.logout)
	for name, file := range map[string]struct {
		kind string
		text []byte
	}{"style.css": {"text/css; charset=utf-8", loginStyle}, "icon.svg": {"image/svg+xml", dashboard.Icon}} {
		handle("GET /login/"+name, func(w http.ResponseWriter, r *http.Request) { // for everybody, as the form is
			w.Header().Set("Content-Type", file.kind)
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Write(file.text)
		})
	}
}

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request) {
	if s.sessions == nil {
		writeFault(w, r, noLogin())
		return
	}
	asks, _ := s.access.identify(r)
	s.writeLogin(w, r, http.StatusOK, asks, r.URL.Query().Get("next"), "")
}

func noLogin() error {
	return &api.Fault{Status: http.StatusNotFound, Code: "no_login", Message: "there is no token store, so nobody can log in: set tokens in rpipe.yaml, or RPIPE_TOKENS"}
}

func (s *Server) writeLogin(w http.ResponseWriter, r *http.Request, status int, asks *who, next, problem string) {
	pageHeaders(w, r)
	data := struct{ Who, Next, Error string }{Next: nextPage(next), Error: problem}
	if asks != nil {
		data.Who = asks.Owner
	}
	var b bytes.Buffer
	if err := loginPage.Execute(&b, &data); err != nil {
		writeFault(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// maxForm is how large the form of a log-in may be.
const maxForm = 16 << 10

// login begins a session for who shows a token.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	x.API, x.Route = "tasks", "login"
	if s.sessions == nil {
		writeFault(w, r, noLogin())
		return
	}
	if err := sameOrigin(r); err != nil { // or a page could log its visitor in as somebody else
		writeFault(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		writeFault(w, r, err)
		return
	}
	next := r.PostForm.Get("next")
	asks, err := s.access.byToken(r, strings.TrimSpace(r.PostForm.Get("token")))
	if err != nil {
		f := faultOf(err)
		status, message := f.Status, "This token is not known here."
		switch {
		case f.RetryAfter > 0:
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(time.Duration(f.RetryAfter).Seconds()))))
			message = "Too many tokens from here were wrong. Wait a while, then try again."
		case status == http.StatusUnauthorized:
			status = http.StatusForbidden // 401 would have the browser ask, too
			message = upperFirst(f.Message) + "."
		default:
			message = upperFirst(f.Message) + "."
		}
		e := audit.Entry{Op: "login", Outcome: audit.Refused, Status: f.Status, Error: f.Code}
		if f.RetryAfter > 0 { // which nothing slows down
			s.access.recordStranger(r, e)
		} else {
			s.access.record(r, nil, e)
		}
		s.writeLogin(w, r, status, nil, next, message)
		return
	}
	t, err := s.tokens.Check(asks.token)
	if err != nil {
		s.writeLogin(w, r, http.StatusForbidden, nil, next, upperFirst(err.Error())+".")
		return
	}
	asks.session = s.sessions.Begin(w, r, t, clientOf(r))
	x.Owner = asks.Owner
	s.access.record(r, asks, audit.Entry{Op: "login", Outcome: audit.OK, Targets: []string{asks.session.ID}})
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, nextPage(next), http.StatusSeeOther)
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// logout ends the session, or with everywhere=true all sessions of its owner.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	x.API, x.Route = "tasks", "logout"
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	asks, err := s.access.bySession(r)
	if err == nil && asks == nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	e := audit.Entry{Op: "logout", Outcome: audit.OK}
	if err == nil {
		x.Owner = asks.Owner
		e.Targets = []string{asks.session.ID}
		err = s.sessions.End(w, r)
		if r.PostFormValue("everywhere") == "true" {
			_, all := s.sessions.EndAll(asks.Owner)
			err = errors.Join(err, all)
			e.Note = "everywhere"
		}
		if err != nil {
			e.Outcome = audit.Failed
		}
		s.access.record(r, asks, e)
	}
	if err != nil {
		writeFault(w, r, err)
		return
	}
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
