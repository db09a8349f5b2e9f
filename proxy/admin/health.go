package admin

import (
	"fmt"
	"net/http"

	"github.com/rpipe-dev/rpipe/tokens"
)

// health is 200 while the process lives.
func (a *Admin) health(w http.ResponseWriter, r *http.Request) {
	answer(w, r, http.StatusOK, map[string]string{"status": "ok"})
}

// ready is 200 while every API can answer. Why not is told to those who may see
// the status.
func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	reasons := unready(a.source.Snapshot())
	status, said := http.StatusOK, readiness{Ready: true}
	if len(reasons) > 0 {
		status, said.Ready = http.StatusServiceUnavailable, false
		w.Header().Set("Retry-After", "1")
		if a.access.allow(r, tokens.Read) {
			said.Reasons = reasons
		}
	}
	answer(w, r, status, said)
}

type readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []reason `json:"reasons,omitempty"`
}

// reason is why the proxy, or one API of it, is not ready.
type reason struct {
	API    string `json:"api,omitempty"` // "" for the proxy as a whole
	Reason string `json:"reason"`
}

// unready is why the proxy is not ready; nothing where it is.
func unready(s Snapshot) []reason {
	var all []reason
	if s.Draining {
		all = append(all, reason{Reason: "draining: the server is shutting down"})
	}
	for i := range s.APIs {
		if why := s.idle(&s.APIs[i]); why != "" {
			all = append(all, reason{API: s.APIs[i].Name, Reason: why})
		}
	}
	return all
}

// idle is why an API cannot answer now; "" where it can.
func (s *Snapshot) idle(a *API) string {
	if a.Environment == "" {
		if a.Err != nil {
			return a.Err.Error()
		}
		return "it has not come up yet"
	}
	e := s.environment(a)
	switch {
	case e != nil && e.Up > 0:
		return ""
	case e != nil && e.Failure != "":
		return "no worker is up: " + e.Failure
	case a.OnDemand:
		return ""
	case e != nil && e.Starting > 0:
		return fmt.Sprintf("no worker is up, %d on the way", e.Starting)
	}
	return "no worker is up"
}
