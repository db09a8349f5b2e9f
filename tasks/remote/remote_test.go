package remote

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

// TestFailuresAreErrorsOfThePool: what became of a task is told as a worker here would.
func TestFailuresAreErrorsOfThePool(t *testing.T) {
	p := &Pool{o: Options{Queue: "far"}}
	past := []api.Attempt{{Worker: "w1", Host: "h1", Pid: 42}}
	f := func(state string, failure api.Failure, want string, as any) {
		t.Helper()
		err := p.failure(&api.Task{ID: "j.1", State: state, Failure: &failure, Past: past, By: "ann"}, &rpool.Request{Timeout: 5 * time.Second}, "")
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s by %s: %v\nwant …%s…", state, failure.Cause, err, want)
		}
		if as != nil && !errors.As(err, as) {
			t.Errorf("%s by %s is a %T", state, failure.Cause, err)
		}
	}
	f("ERROR", api.Failure{Cause: "error", Message: "no", Call: "g(x)"}, "R error in g(x): no", new(*rpool.ConditionError))
	f("ERROR", api.Failure{Cause: "start", Message: "there is no package called foo"}, "on a worker of queue far: there is no package called foo", new(*rpool.StartError))
	f("TIMEOUT", api.Failure{Cause: "timeout", Message: "R code ran longer than 5s (stopped by SIGTERM)"}, "longer than 5s (stopped by SIGTERM)", new(*rpool.TimeoutError))
	died := new(*rpool.DiedError)
	f("DIED", api.Failure{Cause: "signal", Message: "R worker 42 was killed by SIGKILL; its last output: bye"}, "R worker 42 was killed by SIGKILL; its last output: bye (worker w1 on h1)", died)
	f("DIED", api.Failure{Cause: "exit", Message: "R worker 42 exited with status 3"}, "R worker 42 exited with status 3; its last output: (worker w1 on h1)", died)
	f("DIED", api.Failure{Cause: "out_of_memory", Message: "R worker 42 was out of memory (100 MiB)"}, "was out of memory", died)
	f("DIED", api.Failure{Cause: "host_lost", Message: "the worker did not renew its lease"}, "has gone, nobody knows how; its last output: the worker did not renew its lease (worker w1 on h1)", died)
	f("CANCELLED", api.Failure{Cause: "cancelled"}, "task j.1 of queue far was cancelled by ann", nil)
	f("MISSING", api.Failure{}, "has gone from queue far", nil)
}

func TestOnlyMapsRunOnQueues(t *testing.T) {
	if _, err := submission(&rpool.Request{Kind: rpool.Call}); err == nil || !strings.Contains(err.Error(), "cannot run on a queue") {
		t.Error(err)
	}
}

func TestTracebacksHaveTheUsersCalls(t *testing.T) {
	got := users([]string{"fun(data = x, fun = args[[1L]])", "eval(call, scratch)", "eval(call, scratch)", "f(data)", "stop(1)"})
	if strings.Join(got, " ") != "f(data) stop(1)" {
		t.Error(got)
	}
}

// TestEnvironmentsAreOfTheirOwner: who can guess the name of an environment and makes one
// first does not run code in the tasks of others, and neither does who changes it later.
func TestEnvironmentsAreOfTheirOwner(t *testing.T) {
	var asked []string
	answer := func(w http.ResponseWriter) { io.WriteString(w, `{"name": "pipeline-x", "version": 3}`) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+path.Dir(r.URL.Path))
		answer(w)
	}))
	defer s.Close()
	c, err := client.New(client.Options{URL: s.URL, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f := func() (string, error) {
		p := &Pool{o: Options{Client: c}, environments: map[*rpool.Environment]string{}}
		return p.Ready(t.Context(), &rpool.Environment{Setup: "x <- 1"})
	}
	if name, err := f(); err != nil || !strings.HasPrefix(name, "pipeline-") || !strings.HasSuffix(name, "@3") || strings.Join(asked, ", ") != "PUT /v1/environments" {
		t.Errorf("%s, %v, %v", name, err, asked)
	}
	answer = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"error": "forbidden", "message": "environment x belongs to mallory"}`)
	}
	if name, err := f(); err == nil || !strings.Contains(err.Error(), "belongs to mallory") {
		t.Errorf("%s, %v", name, err)
	}
}

// TestSweep: jobs that somebody else takes away are none to stop at, as one is that stays.
func TestSweep(t *testing.T) {
	f := func(want string, rounds ...string) {
		t.Helper()
		deletions := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/v1/jobs":
				io.WriteString(w, `{"jobs": [{"id": "a"}, {"id": "b"}]}`)
			case "/v1/cancel":
				io.WriteString(w, `{"outcomes": []}`)
			case "/v1/delete":
				io.WriteString(w, `{"outcomes": [`+rounds[deletions]+`]}`)
				deletions++
			}
		}))
		defer s.Close()
		c, err := client.New(client.Options{URL: s.URL, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := Sweep(t.Context(), c, nil); (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if deletions != len(rounds) {
			t.Errorf("it ended after %d of %d rounds", deletions, len(rounds))
		}
	}
	const deleted, gone, stays = `{"id": "a", "ok": true}`, `{"id": "b", "error": "not_found"}`, `{"id": "b", "error": "forbidden", "message": "it is another's"}`
	f("", deleted+","+gone, gone+","+gone)
	f("another's", deleted+","+stays)
}
