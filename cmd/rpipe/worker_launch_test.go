package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandOfAJob: files have whole paths, and a join that came as text stands in a file.
func TestCommandOfAJob(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(here, "jobs")
	text := "rpipe-join-1:" + base64.RawURLEncoding.EncodeToString([]byte(`{"cluster":"c","urls":["tls://h:1"],"seed":"S"}`))
	f := func(change func(*workerFlags), want string) {
		t.Helper()
		w := workerFlags{grace: "30s"}
		change(&w)
		got, err := w.command(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, _ = strings.Cut(got, " worker "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f(func(w *workerFlags) { w.o.Join = text }, "--join "+dir+"/join --max 1 --idle-timeout 5m --grace 30s")
	if info, err := os.Stat(dir + "/join"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	f(func(w *workerFlags) { w.nats, w.o.Credentials, w.o.CA = "nats://a", "a.creds", "/ca.pem" },
		"--credentials "+here+"/a.creds --ca /ca.pem --nats nats://a --max 1 --idle-timeout 5m --grace 30s")
	f(func(w *workerFlags) { w.nats, w.user, w.idle, w.o.Node.LogTasks = "nats://a", "ana b", "1m", true },
		"--nats nats://a --max 1 --idle-timeout 1m --grace 30s --user 'ana b' --log-tasks")
	f(func(w *workerFlags) { w.nats, w.grace = "nats://a", "0" }, "--nats nats://a --max 1 --idle-timeout 5m --grace 0")
	if _, err := (&workerFlags{}).command(dir); err != nil {
		t.Error(err)
	}
	wrong := workerFlags{}
	if wrong.o.Join = "no-such-file"; true {
		if _, err := wrong.command(dir); err == nil {
			t.Error("a join that is neither text nor file is taken")
		}
	}
}
