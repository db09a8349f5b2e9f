package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answering is a client of a server that answers with h. What a real server does is
// tested in package server; this is about connections that break.
func answering(t *testing.T, retries int, h http.HandlerFunc) *Client {
	t.Helper()
	var one sync.Mutex // handlers of connections that broke have nothing else between them
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	c, err := New(Options{URL: s.URL, Token: "rpt_x", Retries: retries, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func hangUp(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	c.Close()
}

// TestASubmissionIsRepeatedWithItsID: so that a lost answer is no second job.
func TestASubmissionIsRepeatedWithItsID(t *testing.T) {
	var ids []string
	c := answering(t, 3, func(w http.ResponseWriter, r *http.Request) {
		var in api.Submission
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		ids = append(ids, in.ID)
		switch len(ids) {
		case 1:
			hangUp(w)
		case 2:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(503)
			io.WriteString(w, `{"error": "draining", "message": "later"}`)
		default:
			w.WriteHeader(201)
			json.NewEncoder(w).Encode(&api.Job{ID: in.ID})
		}
	})
	in := &api.Submission{Expr: &api.Value{JSON: []byte(`"1"`)}}
	j, err := c.Submit(t.Context(), in)
	if err != nil || len(ids) != 3 || ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] || j.ID != ids[0] || in.ID != "" {
		t.Errorf("%+v %v %v", j, ids, err)
	}
}

// TestLargeValuesArePutBefore, and the caller's submission stays as it is.
func TestLargeValuesArePutBefore(t *testing.T) {
	large := bytes.Repeat([]byte("x"), maxSent+1)
	var puts int
	c := answering(t, -1, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/values" {
			puts++
			if b, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(b, large) || r.Header.Get("Content-Type") != api.R {
				t.Errorf("%d bytes, %v, %v", len(b), err, r.Header)
			}
			io.WriteString(w, `{"ref": "abc", "size": 1}`)
			return
		}
		var in api.Submission
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Fun.Ref != "abc" || in.Args[0].Value.Ref != "abc" || in.Over == nil || in.Over.R == nil {
			t.Errorf("%+v, %v", in, err)
		}
		io.WriteString(w, `{"id": "1"}`)
	})
	in := &api.Submission{
		Fun: &api.Value{R: large}, Args: api.Args{{Name: "a", Value: api.Value{R: large}}}, Over: &api.Value{R: []byte("X\n")},
	}
	if _, err := c.Submit(t.Context(), in); err != nil || puts != 2 || in.Fun.R == nil || in.Args[0].Value.R == nil {
		t.Errorf("%d puts, %v", puts, err)
	}
}

// TestResultsGoOnWhereTheyBroke: nothing twice, nothing left out.
func TestResultsGoOnWhereTheyBroke(t *testing.T) {
	var asked []string
	c := answering(t, 2, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("from")+"/"+r.URL.Query().Get("limit"))
		if len(asked) == 1 {
			w.Header().Set("Content-Length", "10000") // which will not come
			io.WriteString(w, `{"id":"j.2","n":2,"state":"COMPLETE","value":1}`+"\n"+`{"id":"j.3","n":3,"sta`)
			return
		}
		io.WriteString(w, `{"id":"j.3","n":3,"state":"ERROR"}`+"\n"+`{"id":"j.5","n":5,"state":"COMPLETE","value":{"$ref":"r"}}`+"\n")
	})
	var got []int
	err := c.Results(t.Context(), "j", 2, 4, func(r *api.Result) error {
		got = append(got, r.N)
		return nil
	})
	if err != nil || len(got) != 3 || got[0] != 2 || got[2] != 5 || strings.Join(asked, " ") != "2/4 3/3" {
		t.Errorf("%v %v %v", got, asked, err)
	}
	stop := errors.New("enough")
	if err := c.Results(t.Context(), "j", 1, 0, func(*api.Result) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestEventsGoOnWhereTheyBroke(t *testing.T) {
	var last []string
	c := answering(t, 2, func(w http.ResponseWriter, r *http.Request) {
		last = append(last, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", api.Stream)
		io.WriteString(w, ": hello\n\nid: "+[]string{"7", "9"}[len(last)-1]+"\nevent: task\ndata: {\"type\":\"task\",\ndata: \"state\":\"RUNNING\"}\n\n")
		if len(last) == 2 {
			io.WriteString(w, "event: end\ndata: {\"type\":\"end\",\"state\":\"finish\"}\n\n")
		}
	})
	var got []string
	err := c.Events(t.Context(), "j", func(e *api.Event) error {
		got = append(got, e.Type+e.State+e.ID)
		return nil
	})
	if err != nil || strings.Join(got, " ") != "taskRUNNING7 taskRUNNING9 endfinish" || strings.Join(last, ",") != ",7" {
		t.Errorf("%v %v %v", got, last, err)
	}
}

// TestWaitingAsksAgain: while the server's patience ends before the caller's.
func TestWaitingAsksAgain(t *testing.T) {
	var asked atomic.Int64
	c := answering(t, -1, func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(&api.WaitResult{Done: asked.Add(1) == 3})
	})
	if w, err := c.Wait(t.Context(), api.WaitRequest{IDs: []string{"j"}}); err != nil || !w.Done || asked.Load() != 3 {
		t.Errorf("%+v, %v, asked %d times", w, err, asked.Load())
	}
	asked.Store(10)
	if w, err := c.Wait(t.Context(), api.WaitRequest{IDs: []string{"j"}, Timeout: api.For(20 * time.Millisecond)}); err != nil || w.Done {
		t.Errorf("%+v, %v", w, err)
	}
}

// TestFaultsSayWhatTheServerSaid, and who else answered.
func TestFaultsSayWhatTheServerSaid(t *testing.T) {
	answer, status := `{"error": "invalid", "field": "over", "message": "is no array", "request_id": "r"}`, 400
	c := answering(t, -1, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer rpt_x" {
			t.Error(r.Header)
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	})
	var f *api.Fault
	if _, err := c.Job(t.Context(), "j"); !errors.As(err, &f) || f.Status != 400 || f.Code != "invalid" || err.Error() != "over: is no array" {
		t.Errorf("%v", err)
	}
	answer, status = "<html>", 502
	if _, err := c.Job(t.Context(), "j"); !errors.As(err, &f) || f.Status != 502 || !strings.Contains(err.Error(), "is a task server there?") {
		t.Errorf("%v", err)
	}
}

func TestWhatHappenedOnceIsNotAskedTwice(t *testing.T) {
	var asked atomic.Int64
	c := answering(t, 3, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.Copy(io.Discard, r.Body)
		hangUp(w)
	})
	if _, err := c.SubmitR(t.Context(), strings.NewReader("X\n")); err == nil || asked.Load() != 1 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
	asked.Store(0)
	if _, err := c.PutValue(t.Context(), io.MultiReader(strings.NewReader("X\n"))); !errors.Is(err, errSent) || asked.Load() != 1 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestWhereTheServerIs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"RPIPE_URL", "RPIPE_TOKEN", "RPIPE_CA"} {
		t.Setenv(name, "")
	}
	t.Setenv("RPIPE_DATA", dir)
	if _, err := Find(Options{}); !errors.Is(err, ErrNoServer) {
		t.Errorf("%v", err)
	}
	if err := (api.Local{URL: "http://127.0.0.1:7033"}).Write(dir); err != nil {
		t.Fatal(err)
	}
	f := func(o Options, want string) {
		t.Helper()
		c, err := Find(o)
		if err != nil || c.URL() != want {
			t.Errorf("%+v: %v, want %s", o, err, want)
			return
		}
		c.Close()
	}
	f(Options{}, "http://127.0.0.1:7033")
	t.Setenv("RPIPE_URL", "https://tasks.example/")
	f(Options{}, "https://tasks.example")
	f(Options{URL: "http://other"}, "http://other")
	for _, bad := range []Options{{URL: "tasks.example:7033"}, {URL: "http://user:pw@host"}, {URL: "ftp://x"}, {URL: "http://x", CA: filepath.Join(dir, "none")}} {
		if c, err := New(bad); err == nil {
			c.Close()
			t.Errorf("%+v is taken", bad)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := New(Options{URL: "http://" + l.Addr().String(), Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(context.Background()); err == nil || !strings.Contains(err.Error(), "rpipe serve starts one") {
		t.Error(err)
	}
}
