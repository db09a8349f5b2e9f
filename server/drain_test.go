package server

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// TestADrainGivesBackWhatItCannotFinish: a task that runs for longer than the grace is
// PENDING at the next start, and runs then.
func TestADrainGivesBackWhatItCannotFinish(t *testing.T) {
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	config := func(dir string) *File {
		f := config(dir)
		f.NATS.Lease = configs.Duration(time.Hour) // nothing here waits for the end of one
		return f
	}
	f := config(dir)
	f.Workers.None, f.Workers.Max, f.Grace = false, 1, configs.Duration(100*time.Millisecond)
	s := begin(t, f, Options{})
	j := submit(t, s.c, `{"fun": "function(gate) { while (!file.exists(gate)) Sys.sleep(0.01); 'done' }", "args": ["`+gate+`"]}`)
	eventually(t, func() bool {
		task, err := s.c.Task(t.Context(), j.ID+".1")
		return err == nil && task.State == "RUNNING" && task.Worker != ""
	})
	s.DrainLater()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
	s.close()

	f = config(dir)
	s = begin(t, f, Options{})
	task, err := s.c.Task(t.Context(), j.ID+".1")
	if err != nil || task.State != "PENDING" || len(task.Past) != 1 || task.Past[0].Cause != "worker_stopped" {
		t.Errorf("%+v, %v", task, err)
	}
	s.close()

	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f.Workers.None, f.Workers.Max = false, 1
	s = begin(t, f, Options{})
	defer s.close()
	ended(t, s.c, j.ID)
	if got := values(t, s, j.ID); got != `"done"` {
		t.Error(got)
	}
}

// TestADrainLetsPipelinesFinish: a run that is done within the grace is not left to the next
// start.
func TestADrainLetsPipelinesFinish(t *testing.T) {
	begun, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(begun) })
		<-open
		w.Write([]byte(`{"v": 1}`))
	}))
	defer web.Close()
	f := config(t.TempDir())
	f.Pipelines.Dir = pipelineFiles(t, map[string]string{"slow.yaml": "version: 1\nsource: {range: {to: 3, column: i}}\nstages:\n" +
		"  - fetch: {url: '" + web.URL + "/{i}', response: {columns: {v: {path: v, type: int64}}}}\nsink: {csv: {path: out}}\n"})
	s := begin(t, f, Options{})
	status, _, body := s.ask(t, "POST", "/v1/pipelines/slow/run", "")
	var run api.PipelineRun
	if err := json.Unmarshal([]byte(body), &run); err != nil || status != 201 {
		t.Fatal(status, body)
	}
	<-begun
	s.DrainLater()
	ended := make(chan error, 1)
	go func() { ended <- s.Wait() }()
	select {
	case err := <-ended:
		t.Errorf("the drain did not wait: %v", err)
		ended <- err
	case <-time.After(1500 * time.Millisecond): // it would be over in a third of that
	}
	close(open)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.close()
	s = begin(t, f, Options{})
	defer s.close()
	if run = get[api.PipelineRun](t, s, "/v1/pipeline-runs/"+run.ID); run.State != "COMPLETE" || run.Rows != 3 {
		t.Errorf("%+v", run)
	}
}

// TestADrainEndsAReload whose code takes its time: nobody is going to be served by it.
func TestADrainEndsAReload(t *testing.T) {
	dir := below(t, map[string]string{"plumber.R": plumber(1), "rpipe.yaml": "workers: {none: true}\ngrace: 1h\napis:\n  - {path: /scores, plumber: {file: plumber.R}}\n"})
	s := begin(t, loaded(t, dir), Options{})
	defer s.close()
	begun := filepath.Join(dir, "begun")
	put(t, dir, map[string]string{"plumber.R": "file.create('" + begun + "')\nSys.sleep(3600)\n" + plumber(2)})
	status := make(chan int)
	go func() {
		got, _, _ := s.ask(t, "POST", "/v1/reload", "")
		status <- got
	}()
	eventually(t, func() bool { _, err := os.Stat(begun); return err == nil })
	s.DrainLater()
	if got := <-status; got != 503 {
		t.Errorf("the reload is answered %d", got)
	}
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

func TestCertificatesNameOwners(t *testing.T) {
	f := func(owner string, units []string, submits, reads, admin bool) {
		t.Helper()
		w, err := byCertificate(&x509.Certificate{Subject: pkix.Name{CommonName: owner, OrganizationalUnit: units}})
		if err != nil || w.Owner != owner || w.submit != submits || w.Read != reads || w.Admin != admin {
			t.Errorf("%s %v: %+v, %v", owner, units, w, err)
		}
	}
	f("ana", nil, true, false, false)
	f("ana", []string{"Statistics"}, true, false, false)
	f("bo", []string{"read"}, false, true, false)
	f("ada", []string{"submit", "admin"}, true, true, true)
	if _, err := byCertificate(&x509.Certificate{}); err == nil {
		t.Error("nobody owns something")
	}
}

// TestPagesOfOthersDoNotUseCertificates, which browsers show to whoever asks.
func TestPagesOfOthersDoNotUseCertificates(t *testing.T) {
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "ana"}}
	f := func(want string, header ...string) {
		t.Helper()
		r := httptest.NewRequest("POST", "https://tasks.example/v1/jobs", nil)
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		got := ""
		if _, err := new(access).identify(r); err != nil {
			got = faultOf(err).Code
		}
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
	f("")
	f("", "Origin", "https://tasks.example", "Sec-Fetch-Site", "same-origin")
	f("cross_origin", "Origin", "https://evil.example")
	f("cross_origin", "Sec-Fetch-Site", "cross-site")
}

// TestStopWhileDraining: a second signal does not wait for the grace.
func TestStopWhileDraining(t *testing.T) {
	f := config(t.TempDir())
	f.Workers.None, f.Workers.Max, f.Grace = false, 1, configs.Duration(time.Hour)
	s := begin(t, f, Options{})
	j := submit(t, s.c, `{"fun": "function() Sys.sleep(3600)"}`)
	eventually(t, func() bool {
		task, err := s.c.Task(t.Context(), j.ID+".1")
		return err == nil && task.State == "RUNNING" && task.Worker != ""
	})
	s.DrainLater()
	<-s.soft.Done()
	s.Stop(ErrDraining)
	s.close() // in an hour, were the node to wait
}
