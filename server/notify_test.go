package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/notify"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

func hook(t *testing.T) (address string, got chan []byte) {
	got = make(chan []byte, 10)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil {
			got <- b
		}
	}))
	t.Cleanup(h.Close)
	return h.URL, got
}

// TestNotify: what the keeper tells arrives, with a link.
func TestNotify(t *testing.T) {
	address, got := hook(t)
	s := serve(t, func(f *File) {
		f.URL = "https://tasks.example/"
		withTarget(f, "ops", address+"/hidden", nil)
		withTarget(f, "late", address, func(t *notify.Target) { t.Only = []string{notify.Late} })
	})
	e := keeper.Event{Kind: keeper.Failure, Run: schedule.Run{
		ID: "01jd3x7v9qk2m4n6p8r0s2t4v6", Schedule: "nightly", Scheduled: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC), State: schedule.Died, Attempt: 2, Reason: "its server is gone",
	}}
	e.Schedule.Name, e.Schedule.Timing.Notify = "nightly", []string{"ops", "late", "gone"}
	s.tell(e)
	var m notify.Message
	if err := json.Unmarshal(<-got, &m); err != nil || m.Kind != "failure" || m.Schedule != "nightly" || m.State != "DIED" || m.Error != "its server is gone" ||
		!strings.HasPrefix(m.Link, "https://tasks.example/ui/") || !strings.Contains(m.Link, m.Run) {
		t.Errorf("%+v, %v", m, err)
	}
	var all api.NotifyTargets
	eventually(t, func() bool { s.get(t, "/v1/notify", &all); return all.Targets[1].Delivered == 1 })
	if all.Targets[0].Name != "late" || all.Targets[0].Delivered != 0 || all.Targets[1].Host != "127.0.0.1" {
		t.Errorf("%+v", all)
	}
	_, _, text := s.ask(t, "GET", "/metrics", "")
	if !strings.Contains(text, `rpipe_notify_total{outcome="delivered",target="ops"} 1`) {
		t.Errorf("%s", text)
	}
}

func TestTryingATarget(t *testing.T) {
	address, got := hook(t)
	s := serve(t, func(f *File) {
		withTarget(f, "ops", address, nil)
		withTarget(f, "inside", address+"/hidden", func(t *notify.Target) { t.AllowPrivate = false })
		withTarget(f, "metadata", "http://169.254.169.254/latest/meta-data/", func(t *notify.Target) { t.AllowPrivate = false })
	})
	var out api.NotifyTest
	try := func(name string) api.NotifyTest {
		t.Helper()
		status, _, body := s.ask(t, "POST", "/v1/notify/"+name+"/test", "")
		out = api.NotifyTest{}
		if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
			t.Errorf("%d %s", status, body)
		}
		return out
	}
	if r := try("ops"); !r.Delivered || r.Error != "" {
		t.Errorf("%+v", r)
	}
	<-got
	for _, name := range []string{"inside", "metadata"} {
		if r := try(name); r.Delivered || !strings.Contains(r.Error, "not public") || !strings.Contains(r.Error, "allow_private") || strings.Contains(r.Error, "hidden") {
			t.Errorf("%+v", r)
		}
	}
	if len(got) != 0 {
		t.Error("a private address was reached")
	}
	s.fault(t, 404, "POST", "/v1/notify/no/test", "")
	s.fault(t, 403, "POST", "/v1/notify/ops/test", "", "Authorization", "Bearer "+s.token(t, "x", tokens.Read))
}

func TestTargetsOfTheFile(t *testing.T) {
	f, problems := load(t, `
url: https://tasks.example
notify:
  chat: {url: "https://hooks.example/T0/verysecret", format: slack, only: [failure, recovery]}
  ops: {url: "http://10.0.0.1/hook", allow_private: true, headers: {Authorization: "Bearer verysecret"}, secret: verysecret}
`)
	if problems != "" || f.Notify["chat"].Retries != 10 || time.Duration(f.Notify["ops"].Timeout) != 10*time.Second || f.Notify["ops"].Headers["Authorization"] != configs.Secret("Bearer verysecret") {
		t.Errorf("%s %+v", problems, f.Notify)
	}
	if text := fmt.Sprintf("%+v", f.Notify); strings.Contains(text, "verysecret") {
		t.Errorf("%s", text)
	}
	for text, want := range map[string]string{
		`notify: {a: {url: "ftp://x"}}`:                           "is no address of a web server",
		`notify: {a: {format: slack}}`:                            "url",
		`notify: {a: {url: "https://x", only: [failures]}}`:       "failure",
		`notify: {a: {url: "https://x", headers: {"A\nB": "c"}}}`: "cannot be sent",
		`notify: {a: {url: "https://user:verysecret@x/"}}`:        "user or password",
	} {
		if _, problems := load(t, text); !strings.Contains(problems, want) || strings.Contains(problems, "verysecret") {
			t.Errorf("%s: %s, want %s", text, problems, want)
		}
	}
}
