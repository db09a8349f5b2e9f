package server

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/server/audit"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// Audit is the record of who changed what.
type Audit struct {
	None    bool             `yaml:"none" doc:"No record is kept."`
	Dir     string           `yaml:"dir" doc:"Directory of its files, audit-N.jsonl. Empty: audit in the data directory."`
	MaxFile configs.Size     `yaml:"max_file" default:"16MiB" min:"64KiB" max:"1GiB" doc:"A new file begins after so many bytes."`
	Keep    configs.Duration `yaml:"keep" default:"365d" doc:"A file goes so long after its last line. 0 is never."`
}

// openAudit opens the record.
func (s *Server) openAudit() error {
	c := &s.file.Audit
	if c.None {
		return nil
	}
	dir := s.file.below(c.Dir)
	if dir == "" {
		dir = filepath.Join(s.data, "audit")
	}
	var err error
	s.audit, err = audit.Open(audit.Options{
		Dir: dir, MaxFile: int64(c.MaxFile), Keep: time.Duration(c.Keep), Log: s.log.With("part", "audit"),
	})
	s.access.audit = s.audit
	return err
}

// audited are operations that change something, though some only for whom they are. What
// is stored as a value changes nothing until a submission refers to it.
func audited(route *api.Route) bool {
	switch route.Op {
	case "wait", "putValue":
		return false
	}
	return route.Method != http.MethodGet && route.Method != http.MethodHead
}

type recordKey struct{}

// changes adds what a request has changed, by ids or names, to what is recorded of it.
func changes(r *http.Request, targets ...string) {
	if e, ok := r.Context().Value(recordKey{}).(*audit.Entry); ok {
		e.Targets = append(e.Targets, targets...)
	}
}

// recorded has an operation's answer recorded, where it changes something. The record is
// written when the answer is out, also where the handler broke off.
func (s *Server) recorded(w http.ResponseWriter, r *http.Request, route *api.Route, asks **who) (http.ResponseWriter, *http.Request, func()) {
	if s.audit == nil || !audited(route) {
		return w, r, func() {}
	}
	e := &audit.Entry{Op: route.Op}
	for _, name := range []string{"id", "name", "ref"} {
		if v := r.PathValue(name); v != "" {
			e.Targets = append(e.Targets, v)
		}
	}
	out := &statusWriter{ResponseWriter: w}
	r = r.WithContext(context.WithValue(r.Context(), recordKey{}, e))
	return out, r, func() {
		e.Status, e.Error = out.status, out.code
		switch {
		case out.status == 0 || out.status >= 500:
			e.Outcome = audit.Failed
		case out.status >= 400:
			e.Outcome = audit.Refused
		default:
			e.Outcome = audit.OK
		}
		if out.status == http.StatusUnauthorized && *asks == nil {
			return // nobody in particular; tokens that are no good have a line of their own
		}
		if *asks == nil {
			s.access.recordStranger(r, *e)
			return
		}
		s.access.record(r, *asks, *e)
	}
}

// recordStranger records what nobody who is known has tried: once an hour for each address,
// operation and reason, or strangers could fill the disk with lines.
func (a *access) recordStranger(r *http.Request, e audit.Entry) {
	if a.audit != nil && a.guesses.once(e.Op+" "+e.Error+" "+guesserOf(r), time.Hour) {
		a.record(r, nil, e)
	}
}

// record writes an entry of what a request did, or tried.
func (a *access) record(r *http.Request, w *who, e audit.Entry) {
	if a.audit == nil {
		return
	}
	x := exchange.Of(r.Context())
	e.Request, e.Agent, e.Address = x.ID, r.UserAgent(), clientOf(r)
	if w != nil {
		e.Owner, e.Token, e.By = w.Owner, w.token, w.by
	}
	a.audit.Write(e)
}

// clientOf is the address of who asks.
func clientOf(r *http.Request) string {
	x := exchange.Of(r.Context())
	if !x.Client.IsValid() {
		return "unix"
	}
	return x.Client.String()
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
	code   string // of a fault
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// usedAdmin records that a token of an administrator is in use: when it begins at an
// address, and then once an hour.
func (a *access) usedAdmin(r *http.Request, w *who) {
	if a.audit == nil || !w.Admin || w.token == "" || w.scopes == nil {
		return
	}
	if a.guesses.once(w.token+" "+clientOf(r), time.Hour) {
		a.record(r, w, audit.Entry{Op: "admin", Outcome: audit.OK, Note: "a token of scope " + string(tokens.Admin) + " is in use"})
	}
}
