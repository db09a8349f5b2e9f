package server

import (
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rpipe-dev/rpipe/proxy/front"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// TestWhoGetsIn: from this machine without a token, unless a browser was talked into it.
func TestWhoGetsIn(t *testing.T) {
	s := serve(t, func(f *File) { f.Listen.Names = []string{"tasks.example"} })
	submitter, reader, proxy := s.token(t, "ana", tokens.Submit), s.token(t, "bo", tokens.Read), s.token(t, "cy", tokens.Proxy)
	eventually(t, func() bool {
		status, _, _ := s.ask(t, "GET", "/v1/info", "", "Authorization", "Bearer "+proxy)
		return status == 403
	})
	f := func(want int, method, path string, header ...string) {
		t.Helper()
		status, h, body := s.ask(t, method, path, "", header...)
		if status != want {
			t.Errorf("%s %s with %q: %d %s, want %d", method, path, header, status, body, want)
		}
		if status == 401 && len(h["Www-Authenticate"]) != 2 {
			t.Errorf("%v", h)
		}
	}
	port := s.URL()[strings.LastIndex(s.URL(), ":"):]
	info := "/v1/info"
	f(200, "GET", info)
	f(200, "GET", info, "Host", "localhost"+port)
	f(200, "GET", info, "Host", "tasks.example")
	f(401, "GET", info, "Host", "evil.example"+port)
	f(401, "GET", info, "X-Forwarded-For", "10.0.0.1")
	f(401, "GET", info, "Via", "1.1 proxy")
	f(403, "GET", info, "Origin", "https://evil.example")
	f(403, "GET", info, "Origin", "null")
	f(403, "POST", "/v1/cancel", "Sec-Fetch-Site", "cross-site")
	f(200, "GET", info, "Origin", s.URL(), "Sec-Fetch-Site", "same-origin")
	// With a token from anywhere, also for a page.
	f(200, "GET", info, "Authorization", "Bearer "+submitter, "Host", "evil.example", "Origin", "https://evil.example")
	f(401, "GET", info, "Authorization", "Bearer rpt_no")
	f(401, "GET", info, "Authorization", "Bearer "+submitter+"x")
	f(401, "GET", info, "Authorization", "Basic eDp5")
	f(403, "GET", info, "Authorization", "Bearer "+proxy)
	// By what it is good for.
	f(403, "POST", "/v1/jobs", "Authorization", "Bearer "+reader)
	f(400, "POST", "/v1/jobs", "Authorization", "Bearer "+submitter)
	f(403, "POST", "/v1/queues/default/pause", "Authorization", "Bearer "+submitter)
	f(403, "POST", "/v1/cancel", "Authorization", "Bearer "+reader)
	f(403, "GET", "/metrics", "Authorization", "Bearer "+submitter)
	f(200, "GET", "/metrics", "Authorization", "Bearer "+reader)
	// What is open to all.
	for _, path := range []string{"/healthz", "/openapi.json"} {
		f(200, "GET", path, "Host", "evil.example", "X-Forwarded-For", "10.0.0.1")
	}
}

func TestAlwaysWantsATokenHereToo(t *testing.T) {
	s := serve(t, func(f *File) { f.Auth = "always" })
	if f := s.fault(t, 401, "GET", "/v1/info", ""); !strings.Contains(f.Message, "rpipe token create") {
		t.Errorf("%+v", f)
	}
	c := s.as(t, "ana", tokens.Submit)
	if i, err := c.Info(t.Context()); err != nil || i.Owner != "ana" || len(i.Scopes) != 1 {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestOtherUsersOfTheMachineShowATokenToo: a connection over loopback is of some user,
// and the kernel knows which.
func TestOtherUsersOfTheMachineShowATokenToo(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming another user takes root")
	}
	getuid = func() int { return 12345 } // as if the server ran as somebody
	defer func() { getuid = os.Getuid }()
	s := serve(t, nil)
	port := s.URL()[strings.LastIndex(s.URL(), ":")+1:]
	f := func(uid uint32, want string) {
		t.Helper()
		c := exec.Command("bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/`+port+`; printf 'GET /v1/info HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3; head -1 <&3`)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		c.Dir = "/"
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("user %d: %s, %v", uid, out, err)
		}
	}
	f(12345, " 200 ")
	f(23456, " 401 ")
	f(0, " 200 ") // root may anyway
}

// TestWhoHasLeftIsNobody: of a socket that was closed the kernel says that it is root's.
func TestWhoHasLeftIsNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	served, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(withLocal(r.Context(), served.LocalAddr()))
	r.RemoteAddr = served.RemoteAddr().String()
	if uid, known := peerUser(r); known && uid != os.Getuid() {
		t.Errorf("user %d, and it is %d", uid, os.Getuid())
	}
	c.Close()
	eventually(t, func() bool { uid, known := peerUser(r); return !known || uid == nobody })
	r.RemoteAddr = "127.0.0.1:0"
	if uid, known := peerUser(r); known && uid != nobody {
		t.Errorf("a client that a proxy hides is user %d", uid)
	}
}

func TestRefusesToListenForStrangers(t *testing.T) {
	f := func(change func(*File), o Options, want string) {
		t.Helper()
		file := config(t.TempDir())
		file.Listen.Address = "0.0.0.0:0"
		change(file)
		s, err := launch(file, o)
		if err == nil {
			s.close()
		}
		var config *ConfigError
		switch {
		case want == "" && err != nil:
			t.Error(err)
		case want != "" && (!errors.As(err, &config) || !strings.Contains(err.Error(), want)):
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(func(*File) {}, Options{}, "rpipe token create")
	f(func(f *File) {
		s, err := tokens.Open(f.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Create("bo", []tokens.Scope{tokens.Read}, 0); err != nil {
			t.Fatal(err)
		}
	}, Options{}, "--scope submit") // which lets nobody submit
	f(func(f *File) {
		s, err := tokens.Open(f.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Create("ana", []tokens.Scope{tokens.Submit}, 0); err != nil {
			t.Fatal(err)
		}
	}, Options{}, "")
	f(func(*File) {}, Options{Insecure: true}, "")
	f(func(f *File) { f.Listen.TLS = &front.TLS{Cert: "c", Key: "k"} }, Options{}, "rpipe token create")
}

func TestASocketIsForItsUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := serve(t, func(f *File) { f.Listen.Address = path })
	if i, err := s.c.Info(t.Context()); err != nil || i.Owner != s.access.self {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestOthersTasksAreNotThere: for who may neither read nor administer.
func TestOthersTasksAreNotThere(t *testing.T) {
	s := serve(t, nil)
	ana, bo := s.as(t, "ana", tokens.Submit), s.as(t, "bo", tokens.Submit)
	reader, admin := s.as(t, "rae", tokens.Read), s.as(t, "ada", tokens.Admin)
	j := submit(t, ana, `{"expr": "1", "name": "secret", "queue": "nobody-takes-this"}`)
	task := j.ID + ".1"

	missing := func(what string, err error) {
		t.Helper()
		var f *api.Fault
		if !errors.As(err, &f) || f.Status != 404 || strings.Contains(f.Message, "secret") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := bo.Job(t.Context(), j.ID)
	missing("job", err)
	_, err = bo.Task(t.Context(), task)
	missing("task", err)
	_, err = bo.Result(t.Context(), task)
	missing("result", err)
	missing("results", bo.Results(t.Context(), j.ID, 1, 0, nil))
	missing("log", bo.Log(t.Context(), task, 0, false, nil))
	missing("events of the job", bo.Events(t.Context(), j.ID, nil))
	missing("events of the task", bo.Events(t.Context(), task, nil))
	missing("download", bo.Download(t.Context(), j.ID, nil))
	_, err = bo.Progress(t.Context(), task)
	missing("progress", err)
	_, err = bo.Resume(t.Context(), j.ID)
	missing("resume", err)
	for what, do := range map[string]func() (*api.Outcomes, error){
		"cancel": func() (*api.Outcomes, error) { return bo.Cancel(t.Context(), j.ID, task) },
		"delete": func() (*api.Outcomes, error) { return bo.Delete(t.Context(), j.ID, task) },
		"retry": func() (*api.Outcomes, error) {
			return bo.Retry(t.Context(), api.RetryRequest{IDs: []string{j.ID, task}})
		},
	} {
		out, err := do()
		if err != nil || len(out.Outcomes) != 2 {
			t.Fatalf("%s: %+v, %v", what, out, err)
		}
		for _, o := range out.Outcomes {
			if o.OK || o.Error != "not_found" {
				t.Errorf("%s: %+v", what, o)
			}
		}
	}
	if w, err := bo.Wait(t.Context(), api.WaitRequest{IDs: []string{j.ID, task}, Timeout: api.For(1e9)}); err != nil || len(w.Missing) != 2 {
		t.Errorf("%+v, %v", w, err)
	}
	_, err = bo.Submit(t.Context(), &api.Submission{Expr: text("1"), DependsOn: api.Strings{j.ID}})
	var f *api.Fault
	if !errors.As(err, &f) || f.Status != 400 && f.Status != 404 {
		t.Errorf("a job that depends on another's: %v", err)
	}
	if l, err := bo.Jobs(t.Context(), filter(func(*filterT) {})); err != nil || len(l.Jobs) != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := bo.Tasks(t.Context(), filter(func(f *filterT) { f.Owner = "ana" })); err != nil || len(l.Tasks) != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if n, err := bo.Counts(t.Context(), filter(func(*filterT) {})); err != nil || n.Total != 0 {
		t.Errorf("%+v, %v", n, err)
	}
	_, err = bo.Owner(t.Context(), "ana")
	missing("owner", err)

	// Who may read sees it, and changes nothing; an administrator does.
	if got, err := reader.Task(t.Context(), task); err != nil || got.Owner != "ana" || got.Name != "secret" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := reader.Cancel(t.Context(), j.ID); !errors.As(err, &f) || f.Status != 403 {
		t.Errorf("%v", err)
	}
	if out, err := admin.Cancel(t.Context(), task); err != nil || !out.Outcomes[0].OK || out.Outcomes[0].State != "CANCELLED" {
		t.Errorf("%+v, %v", out, err)
	}
	if got, err := ana.Task(t.Context(), task); err != nil || got.By != "ada" {
		t.Errorf("%+v, %v", got, err)
	}
}
