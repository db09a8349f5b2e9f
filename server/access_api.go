package server

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/rpipe-dev/rpipe/server/audit"
	"github.com/rpipe-dev/rpipe/server/session"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// getAudit answers with what was changed, page by page.
func (s *Server) getAudit(w http.ResponseWriter, r *http.Request, _ *who) error {
	if s.audit == nil {
		return &api.Fault{Status: http.StatusNotFound, Code: "no_audit", Message: "no record of changes is kept here: audit.none is set in rpipe.yaml"}
	}
	q := r.URL.Query()
	f := audit.Filter{Owner: q.Get("owner"), Op: q.Get("op"), Outcome: q.Get("outcome"), Target: q.Get("target")}
	var err error
	if f.Since, err = timeOf(q, "since"); err != nil {
		return err
	}
	if f.Until, err = timeOf(q, "until"); err != nil {
		return err
	}
	if f.Limit, err = intOf(q, "limit", 1, 1000); err != nil {
		return err
	}
	switch f.Outcome {
	case "", audit.OK, audit.Refused, audit.Failed:
	default:
		return invalidField("outcome", strconv.Quote(f.Outcome)+" is none: there are ok, refused and failed")
	}
	if after := q.Get("after"); after != "" {
		if f.Before, err = strconv.ParseUint(after, 10, 64); err != nil || f.Before == 0 {
			return invalidField("after", strconv.Quote(after)+" is not what next of a page said")
		}
	}
	found, more, err := s.audit.Read(r.Context(), f)
	if err != nil {
		return err
	}
	out := api.Audit{Entries: make([]api.AuditEntry, 0, len(found))}
	for _, e := range found {
		out.Entries = append(out.Entries, api.AuditEntry(e))
	}
	if more {
		out.Next = strconv.FormatUint(found[len(found)-1].N, 10)
	}
	return writeJSON(w, 200, &out)
}

// sessionsOf is whose log-ins are meant: one's own, or those of owner, or everybody's,
// for an administrator.
func sessionsOf(r *http.Request, who *who) (string, error) {
	owner := r.URL.Query().Get("owner")
	switch {
	case owner == "":
		return who.Owner, nil
	case owner != who.Owner && !who.Admin:
		return "", forbidden(api.Admin)
	}
	return owner, nil
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request, who *who) error {
	owner, err := sessionsOf(r, who)
	if err != nil {
		return err
	}
	if owner == "*" {
		owner = ""
	}
	out := api.Sessions{Sessions: []api.Session{}}
	if s.sessions != nil {
		for _, in := range s.sessions.List(owner) {
			out.Sessions = append(out.Sessions, api.Session{
				ID: in.ID, Owner: in.Owner, Token: in.Token, Started: in.Started, Used: in.Used,
				Address: in.Address, Agent: in.Agent, Current: isCurrent(in, who),
			})
		}
	}
	return writeJSON(w, 200, &out)
}

func isCurrent(in *session.Session, who *who) bool {
	return who.session != nil && who.session.ID == in.ID
}

// endSessions logs an owner out everywhere.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request, who *who) error {
	owner, err := sessionsOf(r, who)
	if err != nil {
		return err
	}
	if owner == "*" {
		return invalidField("owner", "names one owner: * is for lists")
	}
	changes(r, owner)
	var out api.Ended
	if s.sessions != nil {
		if out.Ended, err = s.sessions.EndAll(owner); err != nil {
			return errors.Join(errors.New("the log-ins have ended, and come back where the server starts again"), err)
		}
	}
	return writeJSON(w, 200, &out)
}
