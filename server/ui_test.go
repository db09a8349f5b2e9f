package server

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tokens"
)

// TestPages: every page is there, for who may see it, without a word of script in it.
func TestPages(t *testing.T) {
	s := withR.get(t)
	j := submit(t, s.c, `{"name":"<script>alert(1)</script>","fun":"function(x) { cat('one\ntwo\n'); if (x == 2) stop('<b>no</b>'); list(a = x) }","over":[1,2]}`)
	ended(t, s.c, j.ID)
	status, header, _ := s.ask(t, "GET", "/", "")
	if status != 303 || header.Get("Location") != "/ui/" {
		t.Errorf("/ leads to %d %s", status, header.Get("Location"))
	}
	f := func(path string, want int, words ...string) {
		t.Helper()
		status, header, body := s.ask(t, "GET", path, "", "Accept", "text/html")
		if status != want {
			t.Fatalf("%s: %d %.300s", path, status, body)
		}
		if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		for _, not := range []string{"<script>", " style=", "onclick", "<style", "http://", "https://", "<b>no", "ZgotmplZ"} {
			if strings.Contains(strings.ReplaceAll(body, "http://localhost:7033", ""), not) {
				t.Errorf("%s has %s", path, not)
			}
		}
		for _, w := range words {
			if !strings.Contains(body, w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
	}
	task := j.ID + ".1"
	f("/ui/", 200, "Overview", `aria-current="page"`)
	f("/ui/tasks", 200, "&lt;script&gt;alert(1)", task)
	f("/ui/tasks?state=ERROR&queue=default&since=1h&text=no", 200, "&lt;b&gt;no")
	f("/ui/tasks?state=NONSENSE", 200, "is no state")
	f("/ui/tasks?label=a", 200, "is no label")
	f("/ui/tasks/"+task, 200, "one", "two", "result.rds")
	f("/ui/tasks/"+j.ID+".2", 200, "&lt;b&gt;no", "simpleError")
	f("/ui/jobs", 200, j.ID)
	f("/ui/jobs/"+j.ID, 200, "Task 2: ERROR")
	for _, path := range []string{"/ui/queues", "/ui/workers", "/ui/schedules", "/ui/settings", "/ui/apis"} {
		f(path, 200)
	}
	f("/ui/tasks/"+j.ID+".9", 404, "there is no task")
	f("/ui/tasks/x%2Flog", 404)
	f("/ui/nothing", 404, "there is no page")
	f("/ui/jobs/0", 400)

	// What can be saved.
	status, header, body := s.ask(t, "GET", "/ui/tasks/"+task+"/result.json", "")
	if status != 200 || strings.TrimSpace(body) != `{"a":[1]}` && strings.TrimSpace(body) != `{"a":1}` || !strings.Contains(header.Get("Content-Disposition"), "rpipe-"+task+".json") {
		t.Errorf("%d %s %v", status, body, header)
	}
	if _, _, body := s.ask(t, "GET", "/ui/tasks/"+task+"/result.rds", ""); !strings.HasPrefix(body, "X\n") && !strings.HasPrefix(body, "B\n") {
		t.Errorf("%q", body)
	}
	if _, _, body := s.ask(t, "GET", "/ui/tasks/"+task+"/log.txt", ""); body != "one\ntwo\n" {
		t.Errorf("%q", body)
	}
}

// TestFormsWithoutScript: what is not to be undone is asked on a page of its own.
func TestFormsWithoutScript(t *testing.T) {
	s := serve(t, nil)
	j := submit(t, s.c, `{"name":"waits","fun":"Sys.time"}`)
	form := func(path string, header []string, pairs ...string) (int, string, string) {
		t.Helper()
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
		status, h, body := s.ask(t, "POST", path, v.Encode(), header...)
		return status, h.Get("Location"), body
	}
	task := j.ID + ".1"
	if status, _, body := form("/ui/tasks/"+task+"/cancel", nil, "back", "/ui/tasks"); status != 200 || !strings.Contains(body, "Are you sure?") || !strings.Contains(body, `name="confirmed" value="yes"`) {
		t.Errorf("%d %s", status, body)
	}
	state := func() string {
		t.Helper()
		found, err := s.c.Task(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		return found.State
	}
	if s := state(); s != "PENDING" {
		t.Errorf("before it was confirmed it is %s", s)
	}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://elsewhere.example"}} {
		if status, _, _ := form("/ui/tasks/"+task+"/cancel", header, "confirmed", "yes"); status != 403 {
			t.Errorf("another site's form: %d", status)
		}
	}
	if status, to, _ := form("/ui/tasks/"+task+"/cancel", nil, "confirmed", "yes", "back", "https://elsewhere.example/"); status != 303 || to != "/ui/tasks/"+task {
		t.Errorf("%d, leads to %s", status, to)
	}
	if s := state(); s != "CANCELLED" {
		t.Errorf("after it was confirmed it is %s", s)
	}
	if status, to, _ := form("/ui/tasks/"+task+"/retry", nil, "back", "/ui/tasks?state=failed"); status != 303 || to != "/ui/tasks?state=failed" {
		t.Errorf("%d, leads to %s", status, to)
	}
	if status, _, _ := form("/ui/tasks", nil, "do", "explode", "id", task); status != 400 {
		t.Errorf("nothing that can be done: %d", status)
	}
	if status, to, _ := form("/ui/queues/default/limits", nil, "max_length", "-3"); status != 303 || to != "/ui/queues" {
		t.Errorf("a limit of -3: %d %s", status, to)
	}
	if status, _, _ := form("/ui/queues/default/pause", nil); status != 303 {
		t.Error(status)
	}
	if q, err := s.c.Queue(t.Context(), "default"); err != nil || !q.Paused || q.MaxLength != 0 {
		t.Errorf("%+v %v", q, err)
	}
}

// TestPagesShowWhatOneMaySee: who may only submit sees his own, and no buttons for what
// he may not do.
func TestPagesShowWhatOneMaySee(t *testing.T) {
	s := serve(t, func(f *File) { f.Auth = "always" })
	anna, ben := s.as(t, "anna", tokens.Submit), s.token(t, "ben", tokens.Submit)
	admin := s.token(t, "carla", tokens.Admin)
	j := submit(t, anna, `{"name":"secret-plan","fun":"Sys.time"}`)
	see := func(token, path string) (int, string) {
		t.Helper()
		status, _, body := s.ask(t, "GET", path, "", "Authorization", "Bearer "+token)
		return status, body
	}
	eventually(t, func() bool { status, _ := see(admin, "/ui/"); return status == 200 })
	for _, path := range []string{"/ui/", "/ui/tasks", "/ui/jobs"} {
		if status, body := see(ben, path); status != 200 || strings.Contains(body, "secret-plan") || strings.Contains(body, "anna") {
			t.Errorf("ben at %s: %d", path, status)
		}
		if _, body := see(admin, path); !strings.Contains(body, "secret-plan") {
			t.Errorf("the administrator does not see it at %s", path)
		}
	}
	// Numbers of everybody's tasks are for who may see those, and say what they are of.
	waiting := func(token, want string) bool {
		_, body := see(token, "/ui/")
		return strings.Contains(body, `<dt>Waiting</dt><dd`+want+`</dd>`)
	}
	eventually(t, func() bool { return waiting(admin, ` class="warn">1`) && waiting(ben, ">0") })
	now, err := s.sample(t.Context()) // there is one every few seconds
	if err != nil {
		t.Fatal(err)
	}
	s.series.take(time.Now(), now)
	for token, all := range map[string]bool{admin: true, ben: false} {
		_, body := see(token, "/ui/")
		for part, want := range map[string]bool{`id="throughput"`: all, `id="since"`: all, "complete since it began": all, "of your tasks": !all, `class="tools"`: all} {
			if strings.Contains(body, part) != want {
				t.Errorf("the overview of who sees all (%v): %s is there: %v", all, part, !want)
			}
		}
		if _, body := see(token, "/ui/queues"); strings.Contains(body, `id="queue-default"`) != all || strings.Contains(body, "of everybody's tasks") == all {
			t.Errorf("the queues of who sees all (%v)", all)
		}
	}
	if status, _ := see(ben, "/v1/series"); status != 403 {
		t.Errorf("the figures of all: %d", status)
	}
	for _, path := range []string{"/ui/tasks/" + j.ID + ".1", "/ui/jobs/" + j.ID} {
		if status, _ := see(ben, path); status != 404 {
			t.Errorf("ben at %s: %d", path, status)
		}
	}
	if _, body := see(ben, "/ui/queues"); strings.Contains(body, "Pause queue") {
		t.Error("ben is offered to pause a queue")
	}
	if _, body := see(admin, "/ui/queues"); !strings.Contains(body, "Pause queue default") {
		t.Error("the administrator is not offered to pause a queue")
	}
	if status, _, _ := s.ask(t, "POST", "/ui/queues/default/pause", "", "Authorization", "Bearer "+ben); status != 303 {
		t.Error(status)
	}
	if q, err := anna.Queue(t.Context(), "default"); err != nil || q.Paused {
		t.Errorf("ben has paused the queue: %+v %v", q, err)
	}
	if status, header, _ := s.ask(t, "GET", "/ui/tasks?state=failed", ""); status != 303 || header.Get("Location") != "/login?next=%2Fui%2Ftasks%3Fstate%3Dfailed" {
		t.Errorf("nobody: %d, leads to %s", status, header.Get("Location"))
	}
}

func TestNoDashboard(t *testing.T) {
	s := serve(t, func(f *File) { f.Dashboard.None = true })
	for _, path := range []string{"/", "/ui/", "/ui/tasks"} {
		s.fault(t, 404, "GET", path, "")
	}
}
