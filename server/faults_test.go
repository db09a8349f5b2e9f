package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// TestWrongSubmissionsSayWhatIsWrong: where, what, how to mend it.
func TestWrongSubmissionsSayWhatIsWrong(t *testing.T) {
	s := serve(t, func(f *File) { f.Limits.Tasks, f.Limits.Depth, f.Limits.Body = 3, 10, 2048 })
	const missing = "01jd3x7v9qk2m4n6p8r0s2t4v6"
	f := func(status int, body, field, want string) {
		t.Helper()
		got := s.fault(t, status, "POST", "/v1/jobs", body)
		if got.Field != field || !strings.Contains(got.Message, want) {
			t.Errorf("%s:\n%q %s\nwant %q %s", body, got.Field, got.Message, field, want)
		}
	}
	f(400, ``, "fun", "function(x) x^2")
	f(400, `{}`, "fun", "missing")
	f(400, `{"fun": "f", "expr": "1"}`, "expr", "stands beside fun")
	f(400, `{"fun": 1}`, "fun", "source text")
	f(400, `{"fun": {"$task": "`+missing+`"}}`, "fun", "result of a task")
	f(400, `{"fun": "f", "qeue": "x"}`, "qeue", "queue")
	f(400, `{"fun": "f", "over": {"a": 1}}`, "over", "array")
	f(400, `{"fun": "f", "over": [1, 2, 3, 4]}`, "over", "limits.tasks")
	f(400, `{"fun": "f", "over": [1], "rows": true}`, "over[0]", "object")
	f(400, `{"fun": "f", "over": {"$task": "`+missing+`"}}`, "over", "how many")
	f(400, `{"fun": "f", "rows": true}`, "over", "elements")
	f(400, `{"fun": "f", "over": [{}], "rows": true, "over_name": "x"}`, "over_name", "rows")
	f(400, `{"fun": "f", "priority": "urgent"}`, "priority", "high, normal and low")
	f(400, `{"fun": "f", "priority": "low", "front": true}`, "front", "one of them")
	f(400, `{"fun": "f", "delay": 5, "run_at": "2030-01-01T00:00:00Z"}`, "delay", "one of them")
	f(400, `{"fun": "f", "timeout": "soon"}`, "", "soon")
	f(400, `{"fun": "f", "memory": "64m"}`, "", "64m")
	f(400, `{"fun": "f", "isolate": "yes"}`, "isolate", "true or false")
	f(400, `{"fun": "f", "retry": {"erors": 1}}`, "erors", "errors")
	f(400, `{"fun": "f"`, "", "no JSON")
	f(400, "{\"fun\": \"f\",\n  'x': 1}", "", "line 2, column 3")
	f(400, `{"fun": "f"} {"fun": "f"}`, "", "more than one")
	f(400, `{"fun": "f", "args": `+strings.Repeat("[", 12)+strings.Repeat("]", 12)+`}`, "", "more than 10 deep")
	f(400, `{"fun": "f", "queue": "a b"}`, "queue", "letters")
	f(400, `{"fun": "f", "id": "x"}`, "id", "x")
	f(400, `{"fun": "f", "depends_on": "x"}`, "depends_on", "x")
	f(400, `{"fun": "f", "args": {"a": {"$r": "AAAA"}}}`, "args.a", "serialize()")
	f(400, `{"fun": {"$r": "AAAA"}}`, "fun", "serialize()")
	f(400, `{"fun": "f", "args": {"$r": 1}}`, "", "$r")
	f(413, `{"fun": "`+strings.Repeat("x", 4096)+`"}`, "", "/v1/values")
	if got := s.fault(t, 415, "POST", "/v1/jobs", "x", "Content-Type", "text/csv"); !strings.Contains(got.Message, "text/csv") {
		t.Errorf("%+v", got)
	}
	if got := s.fault(t, 400, "POST", "/v1/jobs", "X\n123", "Content-Type", api.R); !strings.Contains(got.Message, "serialize()") {
		t.Errorf("%+v", got)
	}
	if n, err := s.c.Counts(t.Context(), filter(func(*filterT) {})); err != nil || n.Total != 0 {
		t.Errorf("some were taken: %+v, %v", n, err)
	}
}

func TestWrongRequestsSayWhatIsWrong(t *testing.T) {
	s := serve(t, func(f *File) { f.Limits.IDs = 2 })
	const job = "01jd3x7v9qk2m4n6p8r0s2t4v6"
	f := func(status int, method, path, body, field, want string) {
		t.Helper()
		got := s.fault(t, status, method, path, body)
		if got.Field != field || !strings.Contains(got.Message, want) {
			t.Errorf("%s %s %s:\n%q %s\nwant %q %s", method, path, body, got.Field, got.Message, field, want)
		}
	}
	f(404, "GET", "/nothing", "", "", "/openapi.json")
	f(404, "GET", "/v2/jobs", "", "", "/openapi.json")
	f(405, "PATCH", "/v1/jobs", "", "", "GET or POST")
	f(405, "DELETE", "/v1/info", "", "", "takes GET")
	f(404, "GET", "/v1/jobs/"+job, "", "", "no job "+job)
	f(404, "GET", "/v1/tasks/"+job+".1", "", "", "no task")
	f(400, "GET", "/v1/tasks/"+job, "", "id", job+".1")
	f(400, "GET", "/v1/jobs/"+job+".1", "", "id", "leave out .1")
	f(400, "GET", "/v1/jobs/x", "", "id", "look like")
	f(404, "POST", "/v1/jobs/"+job+"/cancel", "", "", "no job")
	f(404, "DELETE", "/v1/tasks/"+job+".7", "", "", "no task")
	f(404, "GET", "/v1/jobs/by-name/nobody/results", "", "", "nobody")
	f(400, "GET", "/v1/tasks?state=DONE", "", "state", "COMPLETE")
	f(400, "GET", "/v1/tasks?limit=0", "", "limit", "from 1 to 10000")
	f(400, "GET", "/v1/tasks?after=x", "", "after", "cursor")
	f(400, "GET", "/v1/tasks?since=yesterday", "", "since", "2026-01-31")
	f(400, "GET", "/v1/tasks?order=up", "", "order", "oldest")
	f(400, "GET", "/v1/tasks?label=x", "", "label", "name=value")
	f(400, "GET", "/v1/tasks?jobb=x", "", "jobb", "job")
	f(400, "GET", "/v1/tasks?job=x", "", "job", "id of a job")
	f(400, "POST", "/v1/cancel", `{}`, "ids", "missing")
	f(400, "POST", "/v1/cancel", `{"ids": ["x"]}`, "ids", "x")
	f(400, "POST", "/v1/delete", `{"ids": ["`+job+`", "`+job+`", "`+job+`"]}`, "ids", "limits.ids")
	f(400, "POST", "/v1/wait", `{"ids": ["`+job+`"], "until": "ever"}`, "until", "first_error")
	f(400, "POST", "/v1/jobs/"+job+"/retry", `{"ids": ["`+job+`"]}`, "ids", "path")
	f(400, "POST", "/v1/retry", `{"ids": ["`+job+`"], "priority": "x"}`, "priority", "high")
	f(400, "PUT", "/v1/queues/a%20b", `{}`, "name", "letters")
	f(400, "PUT", "/v1/queues/a", `{"max_length": -1}`, "max_length", "0 is no limit")
	f(400, "PUT", "/v1/owners/ana", `{"max_jobs": -1}`, "max_jobs", "0 is no limit")
	f(404, "GET", "/v1/workers/nobody", "", "", "no worker nobody")
	f(400, "POST", "/v1/workers/x/messages", `{"type": "dance"}`, "type", "ping")
	f(404, "POST", "/v1/workers/x/messages", `{"type": "ping"}`, "", "no worker x")
	f(404, "GET", "/v1/environments/nothing", "", "", "no environment")
	f(400, "GET", "/v1/environments/a@0", "", "name", "@1")
	f(400, "PUT", "/v1/environments/a", `{"name": "b"}`, "name", "path")
	f(400, "PUT", "/v1/environments/a", `{"sources": [{"name": "x.R"}]}`, "sources[0]", "one of")
	f(400, "PUT", "/v1/environments/a", `{"sources": [{"path": "x.R"}]}`, "sources[0]", "absolute")
	f(404, "GET", "/v1/worker-configs/nothing", "", "", "no worker configuration")
	f(400, "PUT", "/v1/worker-configs/a", `{"min": 3, "max": 2}`, "min", "larger")
	f(400, "GET", "/v1/values/x", "", "ref", "64 hex")
	f(404, "GET", "/v1/values/"+strings.Repeat("0", 64), "", "", "no value")
	f(400, "PUT", "/v1/values", "", "", "empty")
	f(400, "POST", "/v1/backup", `{"dir": "here"}`, "dir", "absolute")
	if got := s.fault(t, 400, "PUT", "/v1/values", "hello", "Content-Type", api.R); !strings.Contains(got.Message, "serialization") {
		t.Errorf("%+v", got)
	}
	if got := s.fault(t, 404, "GET", "/v1/jobs/"+job+"/results", "", "Accept", "image/png"); got.Code != "not_found" {
		t.Errorf("%+v", got)
	}
}

// TestEveryRouteIsServed: none of the table answers that nothing is there, and the
// server has no operation that is not in the table.
func TestEveryRouteIsServed(t *testing.T) {
	s := serve(t, nil)
	operations := s.operations()
	for _, r := range api.Routes {
		if operations[r.Op] == nil {
			t.Errorf("nothing answers %s", r.Op)
		}
		delete(operations, r.Op)
		if r.Op == "follow" || r.Op == "followQueue" { // they never end
			continue
		}
		path := strings.NewReplacer("{id}", "x", "{name}", "x", "{ref}", "x").Replace(r.Path)
		status, h, body := s.ask(t, r.Method, path, "")
		if strings.Contains(body, "no_route") || status >= 500 && status != 503 {
			t.Errorf("%s %s: %d %s", r.Method, path, status, body)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") == "" && status < 300 {
			t.Errorf("%s %s: %v", r.Method, path, h)
		}
	}
	for op := range operations {
		t.Errorf("%s is not in api.Routes", op)
	}
	status, h, body := s.ask(t, "GET", "/openapi.json", "")
	if status != http.StatusOK || h.Get("Content-Type") != api.JSON || !strings.Contains(body, fmt.Sprintf("%q", "3.1.0")) {
		t.Errorf("%d %v", status, h)
	}
}
