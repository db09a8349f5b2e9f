package server

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// TestTheRecordOfChanges has who did what, to what, with which outcome.
func TestTheRecordOfChanges(t *testing.T) {
	s := serve(t, nil)
	ana, ada := "Bearer "+s.token(t, "ana", tokens.Submit), "Bearer "+s.token(t, "ada", tokens.Admin)
	status, _, body := s.ask(t, "POST", "/v1/jobs", `{"expr": "1", "queue": "nobody"}`, "Authorization", ana, "User-Agent", "test/1", "X-Request-Id", "req-1")
	_, id, _ := strings.Cut(body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	if status != 201 || id == "" {
		t.Fatalf("%d %s", status, body)
	}
	s.ask(t, "POST", "/v1/cancel", `{"ids": ["`+id+`", "`+id+`.1"]}`, "Authorization", ada)
	s.ask(t, "POST", "/v1/queues/nobody/pause", "", "Authorization", ana)
	s.ask(t, "PUT", "/v1/queues/nobody", `{"max_length": "x"}`, "Authorization", ada)
	s.ask(t, "PUT", "/v1/environments/e", `{"env": {"SECRET": "hidden"}}`)
	s.ask(t, "DELETE", "/v1/jobs/"+id, "", "Authorization", ana)
	s.ask(t, "GET", "/v1/jobs/"+id, "", "Authorization", ana)
	s.ask(t, "POST", "/v1/wait", `{"ids": ["`+id+`"]}`, "Authorization", ana)
	s.ask(t, "GET", "/v1/info", "", "Authorization", "Bearer rpt_unknown")
	s.browser(t).do(t, "POST", "/login", url.Values{"token": {"rpt_unknown"}})
	b := s.browser(t)
	b.login(t, s.token(t, "bo", tokens.Submit), "")
	b.do(t, "POST", "/logout", url.Values{"csrf_token": {b.csrf(t)}})

	var all api.Audit
	s.get(t, "/v1/audit", &all)
	var got []string
	for _, e := range slices.Backward(all.Entries) {
		got = append(got, strings.Join([]string{e.Op, e.Outcome, e.Owner, e.By}, " "))
		if e.Address != "127.0.0.1" || e.Time.IsZero() || e.Request == "" {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"submitJob ok ana token", "admin ok ada token", "cancel ok ada token", "pauseQueue refused ana token", "setQueue refused ada token",
		"setEnvironment ok " + s.access.self + " place", "deleteJob ok ana token", "token refused  ", "token refused  ", "login refused  ",
		"login ok bo token", "logout ok bo session",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	find := func(query string) []api.AuditEntry {
		t.Helper()
		var a api.Audit
		s.get(t, "/v1/audit?"+query, &a)
		return a.Entries
	}
	if e := find("op=submitJob"); len(e) != 1 || e[0].Targets[0] != id || e[0].Status != 201 || e[0].Agent != "test/1" || e[0].Token == "" {
		t.Errorf("%+v", e)
	}
	if e := find("op=cancel"); len(e) != 1 || !slices.Equal(e[0].Targets, []string{id, id + ".1"}) {
		t.Errorf("%+v", e)
	}
	if e := find("op=pauseQueue&outcome=refused"); len(e) != 1 || e[0].Status != 403 || e[0].Error != "forbidden" || e[0].Targets[0] != "nobody" {
		t.Errorf("%+v", e)
	}
	if e := find("target=" + id); len(e) != 3 {
		t.Errorf("%+v", e)
	}
	if e := find("owner=ana&since=1h&limit=2"); len(e) != 2 {
		t.Errorf("%+v", e)
	}
	// Pages.
	var pages []string
	for after := ""; ; {
		var a api.Audit
		s.get(t, "/v1/audit?limit=5"+after, &a)
		for _, e := range a.Entries {
			pages = append(pages, e.Op)
		}
		if a.Next == "" {
			break
		}
		after = "&after=" + a.Next
	}
	if len(pages) != len(want) {
		t.Errorf("%v", pages)
	}
	for _, q := range []string{"outcome=x", "after=x", "since=x", "limit=0", "nothing=1"} {
		s.fault(t, 400, "GET", "/v1/audit?"+q, "")
	}
}

func TestNoRecordOfChanges(t *testing.T) {
	s := serve(t, func(f *File) { f.Audit.None = true })
	s.ask(t, "POST", "/v1/queues/x/pause", "")
	if f := s.fault(t, 404, "GET", "/v1/audit", ""); f.Code != "no_audit" {
		t.Errorf("%+v", f)
	}
}
