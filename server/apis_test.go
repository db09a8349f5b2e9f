package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// below is an rpipe.yaml in a directory of its own, whose data and tokens are there too.
func below(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	put(t, dir, files)
	return dir
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if name == "rpipe.yaml" {
			text = "listen: 127.0.0.1:0\ndata: data\ntokens: " + dir + "/tokens.json\ndurability: interval:200ms\nlog: {access: \"off\"}\n" + text
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// loaded is the file of a directory, which must be without errors.
func loaded(t *testing.T, dir string) *File {
	t.Helper()
	f, problems := Load(filepath.Join(dir, "rpipe.yaml"), nil)
	if errs := problems.Errors(); len(errs) > 0 {
		t.Fatal(errs)
	}
	f.Tokens = filepath.Join(dir, "tokens.json") // launch opens it too
	return f
}

// plumber is an API that says which version it is, and one that waits for a file.
func plumber(version int) string {
	return fmt.Sprintf("#* @get /version\n#* @serializer unboxedJSON\nfunction() %d\n#* @get /fail\nfunction() stop('no such row')\n", version)
}

func TestAPIsAreRefusedWhereTheServerIs(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		dir := below(t, map[string]string{"plumber.R": plumber(1), "rpipe.yaml": text})
		_, problems := Load(filepath.Join(dir, "rpipe.yaml"), nil)
		got := strings.ReplaceAll(problems.Errors().Error(), dir+"/", "")
		if !strings.Contains(got, want) {
			t.Errorf("%s\n%s\nhas no\n%s", text, got, want)
		}
	}
	f("apis: [{path: /v1, plumber: {file: plumber.R}}]", "rpipe.yaml:6:15: apis[0].path: /v1 is one of rpipe's own paths (those are /v1, /ui,")
	f("apis: [{path: /v1/x, plumber: {file: plumber.R}}]", "6:15: apis[0].path: /v1/x is one")
	for _, path := range reserved {
		f("apis: [{path: "+path+"/, plumber: {file: plumber.R}}]", path+"/ is one of rpipe's own paths")
	}
	f("apis: [{plumber: {file: plumber.R}}]", "apis[0].path: / leads to the dashboard (give the API a path, such as path: /api, or a host of its own)")
	f("apis: [{path: /a, plumber: {file: none.R}}]", "rpipe.yaml:6:35: apis[0].plumber.file: none.R: no such file (there is plumber.R)")
	f("apis: [{path: /a, plumber: {file: plumber.R}}, {path: /a/, plumber: {file: plumber.R}}]", "is served by another API already")
	f("apis: [{path: /a, pool: big, plumber: {file: plumber.R}}]", "there is no pool big")
	f("apis: [{path: /tasks, plumber: {file: plumber.R}}]", "tasks is what metrics and logs call paths of rpipe itself")
	f("workers: {none: true}\napis: [{path: /a, pool: tasks, plumber: {file: plumber.R}}]", "there is no pool tasks")
	f("pools: {tasks: {max: 2}}", "rpipe.yaml:6:16: pools.tasks: is the pool of the tasks")
	f("startup: [none.R]", "rpipe.yaml:6:11: startup[0].file: none.R: no such file")
	f("startup: [{on_error: go_on}]", "has nothing to run")

	dir := below(t, map[string]string{"plumber.R": plumber(1), "rpipe.yaml": "apis: [{path: /, host: api.example.com, plumber: {file: plumber.R}}, {path: /v10, plumber: {file: plumber.R}}]"})
	loaded(t, dir)
}

// TestAPIsBesideTasks: on the R processes of the tasks, requests are answered while tasks
// want them all; new code takes over by a reload, and code that does not work does not.
func TestAPIsBesideTasks(t *testing.T) {
	text := "workers: {max: 2}\napis:\n  - {path: /scores, pool: tasks, plumber: {file: plumber.R}}\n"
	dir := below(t, map[string]string{"plumber.R": plumber(1), "rpipe.yaml": text})
	s := begin(t, loaded(t, dir), Options{})
	defer s.close()
	gate := filepath.Join(dir, "gate")
	j := submit(t, s.c, `{"fun": "function(i, gate) { while (!file.exists(gate)) Sys.sleep(0.01); i }", "over": [1, 2, 3], "args": {"gate": "`+gate+`"}}`)
	eventually(t, func() bool {
		task, err := s.c.Task(t.Context(), j.ID+".1")
		return err == nil && task.State == "RUNNING" && task.Worker != ""
	})
	is := func(want string) {
		t.Helper()
		if status, _, body := s.ask(t, "GET", "/scores/version", ""); status != 200 || body != want {
			t.Errorf("%d %s, not version %s", status, body, want)
		}
	}
	is("1")
	if status, _, _ := s.ask(t, "GET", "/scores/fail", ""); status != 500 {
		t.Error(status)
	}
	if running, err := s.c.Task(t.Context(), j.ID+".2"); err != nil || running.State != "PENDING" {
		t.Errorf("a worker that is reserved for requests has a task: %+v, %v", running, err)
	}

	var all api.APIs
	_, _, body := s.ask(t, "GET", "/v1/apis", "")
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all.APIs) != 1 {
		t.Fatalf("%s, %v", body, err)
	}
	a := all.APIs[0]
	if a.Name != "scores" || a.Path != "/scores" || a.Kind != "plumber" || a.Pool != "tasks" || a.State != "ready" || a.Generation != 1 ||
		a.Requests != 2 || a.OK != 1 || a.Failed != 1 || a.Took.P99 <= 0 || a.Rate <= 0 || a.Workers.Max != 2 || a.Workers.Up != 1 {
		t.Errorf("%s", body)
	}
	if _, _, body := s.ask(t, "GET", "/v1/apis/scores", ""); !strings.Contains(body, "no such row") || !strings.Contains(body, `"route":"/version"`) {
		t.Errorf("of one API: %s", body)
	}
	s.fault(t, 404, "GET", "/v1/apis/none", "")
	if _, _, body := s.ask(t, "GET", "/metrics", ""); !strings.Contains(body, `rpipe_http_requests_total{api="scores",code="200",method="GET",route="/version"} 1`) {
		t.Errorf("no metrics of the API:\n%s", body)
	}

	reload := func(want string) {
		t.Helper()
		if status, _, body := s.ask(t, "POST", "/v1/reload", ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d %s, want %s", status, body, want)
		}
	}
	put(t, dir, map[string]string{"plumber.R": plumber(2)})
	reload(`{"changed":[]}`)
	is("2")
	put(t, dir, map[string]string{"plumber.R": "#* @get /version\nstop('not like this')\n"})
	reload("not like this")
	is("2")
	if _, _, body := s.ask(t, "GET", "/v1/apis", ""); !strings.Contains(body, "not like this") || !strings.Contains(body, `"state":"ready"`) {
		t.Errorf("what does not work is not said: %s", body)
	}
	put(t, dir, map[string]string{"plumber.R": plumber(3), "rpipe.yaml": text + "  - {path: /more, plumber: {file: plumber.R}}\nlimits: {ids: 7}\ngrace: 31s\n"})
	reload(`{"changed":["limits","apis"],"restart":["grace"]}`)
	is("3")
	if status, _, body := s.ask(t, "GET", "/more/version", ""); status != 200 || body != "3" {
		t.Errorf("an API that has come: %d %s", status, body)
	}
	s.fault(t, 400, "POST", "/v1/cancel", `{"ids": ["1","2","3","4","5","6","7","8"]}`) // by the new limit
	put(t, dir, map[string]string{"rpipe.yaml": "workers: {max: 2}\nlimits: {ids: 7}\n"})
	reload(`{"changed":["apis"]}`) // grace is again what it was
	if f := s.fault(t, 404, "GET", "/scores/version", ""); f.Code != "no_route" {
		t.Errorf("an API that has gone: %+v", f)
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	ended(t, s.c, j.ID)
}

// TestAFileThatIsWrongChangesNothing, and what is wrong is said with its place.
func TestAFileThatIsWrongChangesNothing(t *testing.T) {
	dir := below(t, map[string]string{"rpipe.yaml": "workers: {none: true}\nlimits: {ids: 7}\n"})
	store, err := tokens.Open(filepath.Join(dir, "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := store.Create("ana", []tokens.Scope{tokens.Submit, tokens.Read}, 0)
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	s := begin(t, loaded(t, dir), Options{})
	defer s.close()
	put(t, dir, map[string]string{"rpipe.yaml": "workers: {none: true}\nlimits: {ids: 8, idz: 9}\n"})
	f := s.fault(t, 422, "POST", "/v1/reload", "")
	if !strings.Contains(f.Message, "rpipe.yaml:7:18: ") || !strings.Contains(f.Message, "idz") || !strings.Contains(f.Message, "nothing is changed") {
		t.Errorf("%+v", f)
	}
	if s.limits.Load().IDs != 7 {
		t.Error("it has changed")
	}
	if err := os.Remove(filepath.Join(dir, "rpipe.yaml")); err != nil {
		t.Fatal(err)
	}
	s.fault(t, 422, "POST", "/v1/reload", "")
	if f := s.fault(t, 403, "POST", "/v1/reload", "", "Authorization", "Bearer "+secret); f.Code != "forbidden" {
		t.Errorf("%+v", f)
	}
}

// TestAnAPIThatDoesNotStart does not keep tasks from running.
func TestAnAPIThatDoesNotStart(t *testing.T) {
	dir := below(t, map[string]string{
		"plumber.R": "stop('the database is down')\n", "rpipe.yaml": "workers: {max: 1}\napis: [{path: /a, pool: tasks, plumber: {file: plumber.R}}]\n",
	})
	s := begin(t, loaded(t, dir), Options{})
	defer s.close()
	if status, _, _ := s.ask(t, "GET", "/a/version", ""); status != 503 {
		t.Error(status)
	}
	if _, _, body := s.ask(t, "GET", "/v1/apis", ""); !strings.Contains(body, `"state":"failed"`) || !strings.Contains(body, "the database is down") {
		t.Errorf("%s", body)
	}
	j := submit(t, s.c, `{"fun": "identity", "args": [1]}`)
	ended(t, s.c, j.ID)
	put(t, dir, map[string]string{"plumber.R": plumber(1)})
	eventually(t, func() bool { status, _, _ := s.ask(t, "GET", "/a/version", ""); return status == 200 }) // tried again by itself
}

func TestStartup(t *testing.T) {
	begun := func(text string) error {
		dir := below(t, map[string]string{"rpipe.yaml": text, "start.R": "cat(4, file = 'made')\nx <- 1\n"})
		s, err := launch(loaded(t, dir), Options{})
		if err != nil {
			return err
		}
		defer s.close()
		made, err := os.ReadFile(filepath.Join(dir, "made"))
		if err == nil && string(made) != "4" {
			err = errors.New(string(made))
		}
		return err
	}
	if err := begun("workers: {max: 1}\nstartup: [start.R, {code: 'stopifnot(file.exists(\"made\"), !exists(\"x\"))'}]\n"); err != nil {
		t.Error(err)
	}
	if err := begun("workers: {none: true}\nstartup: [{code: 'stop(\"no\")', on_error: go_on}, start.R]\n"); err != nil {
		t.Error(err)
	}
	var config *ConfigError
	err := begun("workers: {none: true}\nstartup: [{code: 'f <- function() stop(\"no licence\")\nf()'}]\n")
	if !errors.As(err, &config) || !strings.Contains(err.Error(), "startup[0]") || !strings.Contains(err.Error(), "no licence") {
		t.Errorf("%v", err)
	}
	if err := begun("workers: {none: true}\nstartup: [{code: 'repeat Sys.sleep(0.01)', timeout: 200ms}]\n"); !errors.As(err, &config) {
		t.Errorf("%v", err)
	}
}
