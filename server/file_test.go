package server

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

func load(t *testing.T, text string) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rpipe.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var vars map[string]string
	if strings.Contains(text, "${port}") {
		vars = map[string]string{"port": "7100"}
	}
	f, problems := Load(path, vars)
	return f, problems.Error()
}

func TestAFileThatSaysNothing(t *testing.T) {
	f, problems := load(t, "version: 1\n")
	if problems != "" || f.Listen.Address != "127.0.0.1:7033" || f.Durability != "always" || f.Auth != "loopback" || f.Workers.Queues[0] != "default" {
		t.Errorf("%s\n%+v", problems, f)
	}
	if d := Defaults(); d.Listen.Address != f.Listen.Address || d.Grace != f.Grace || d.Limits != f.Limits {
		t.Errorf("%+v", d)
	}
	home := t.TempDir()
	t.Setenv("RPIPE_DATA", "")
	t.Setenv("XDG_STATE_HOME", home)
	if dir, err := f.DataDir(); err != nil || dir != filepath.Join(home, "rpipe") {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("RPIPE_DATA", "/x/y")
	if dir, err := api.DataDir(); err != nil || dir != "/x/y" {
		t.Errorf("%s, %v", dir, err)
	}
}

func TestAFileThatSaysMuch(t *testing.T) {
	f, problems := load(t, `
listen: {address: "127.0.0.1:${port}", trusted_proxies: [loopback]}
data: store
durability: interval:50ms
workers: {queues: [short, long], min: 1, max: 4, max_memory: 2GiB}
r: {packages: [stats], source: model.R, limits: {cpu: 1h}}
values: {s3: "s3://bucket/tasks", s3_options: {endpoint: "http://127.0.0.1:9000"}}
limits: {body: 1MiB}
retention: {results: 30d}
`)
	if problems != "" || f.Listen.Address != "127.0.0.1:7100" || f.Workers.Max != 4 || f.R.Source[0] != "model.R" || f.R.Limits.CPU == 0 {
		t.Errorf("%+v\n%s", f, problems)
	}
	if dir, err := f.DataDir(); err != nil || dir != filepath.Join(f.Dir(), "store") {
		t.Errorf("%s, %v", dir, err)
	}
}

func TestWrongFilesSayWhatIsWrong(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, problems := load(t, text)
		for _, w := range want {
			if !strings.Contains(problems, w) {
				t.Errorf("%s: no %q in\n%s", text, w, problems)
			}
		}
	}
	f("listen: 7033", "listen", "host:port")
	f("liten: x", "liten", "listen")
	f("durability: sometimes", "durability", "interval:200ms")
	f("workers: {queues: [a b]}", "workers.queues[0]", "letters")
	f("workers: {queues: [a, a]}", "twice")
	f("workers: {min: 3, max: 2}", "larger than max")
	f("values: {dir: x, s3: s3://b/k}", "one place")
	f("values: {s3: bucket}", "s3://bucket/tasks")
	f("nats: {urls: [host:4222]}", "nats://host:4222")
	f("nats: {urls: [nats://a], listen: ':1'}", "stands beside urls")
	f("nats: {credentials: x}", "no urls")
	f("limits: {streams: 0}", "streams")
	f("schedules: [{name: a, cron: \"@daily\", expr: 1, notify: [ops]}]", "schedules[0].notify[0]", "no ops")
	f("schedules: [{name: a, expr: 1}, {name: a, expr: 2}]", "two schedules a")
	if _, problems := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !strings.Contains(problems.Error(), "cannot be read") {
		t.Error(problems)
	}
}

// TestTheKeysOfWorkersAreForTheUserAlone, also where they go into a file that is there.
func TestTheKeysOfWorkersAreForTheUserAlone(t *testing.T) {
	s := serve(t, func(f *File) { f.NATS.Listen = "127.0.0.1:0" })
	path := filepath.Join(t.TempDir(), "join")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.writeJoin(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 10 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestSecretsAreForTheirOwner: also where a file that all could read was there.
func TestSecretsAreForTheirOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "join")
	if err := os.WriteFile(path, []byte("a longer text than the new one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(path, "secret"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "secret" || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %q, %v", info.Mode(), text, err)
	}
}
