//go:build unix

package deploy

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/rpipe-dev/rpipe/internal/program"
)

func TestSystemdTakesTheUnitsOfTheQueue(t *testing.T) {
	analyze := installed(t, "systemd-analyze")
	for _, name := range []string{"rpipe-serve.service", "rpipe-worker.service"} {
		unit := filepath.Join(t.TempDir(), name)
		text := strings.ReplaceAll(read(t, "systemd/"+name), "/usr/local/bin/rpipe", program.Path)
		if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze verify %s: %v\n%s", name, err, out)
		}
	}
}

// documents are those of a file with several.
func documents(t *testing.T, name string) (all []map[string]any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, name)))
	for {
		var one map[string]any
		if err := d.Decode(&one); err != nil {
			if err.Error() == "EOF" {
				return all
			}
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, one)
	}
}

// at is what stands at a path of keys and numbers; it must be there.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for i, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if v, ok = m[p], ok && m[p] != nil; !ok {
				t.Fatalf("there is nothing at %v", path[:i+1])
			}
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				t.Fatalf("there is nothing at %v", path[:i+1])
			}
			v = l[p]
		}
	}
	return v
}

// kind is the document of a kind and name.
func kind(t *testing.T, all []map[string]any, kind, name string) map[string]any {
	t.Helper()
	for _, d := range all {
		if d["kind"] == kind && at(t, d, "metadata", "name") == name {
			return d
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

// TestCommandsOfTheQueue: what the files start rpipe with, it has.
func TestCommandsOfTheQueue(t *testing.T) {
	line := regexp.MustCompile(`(?m)(?:ExecStart=/usr/local/bin/rpipe |(?:CMD|command:|args:) \[")(serve|worker)\b.*$`)
	flag := regexp.MustCompile(`--[a-z][a-z-]+`)
	help := map[string]string{}
	for _, command := range []string{"serve", "worker"} {
		out, err := exec.Command(program.Path, command, "--help").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		help[command] = string(out)
	}
	for name, want := range map[string]int{
		"systemd/rpipe-serve.service": 1, "systemd/rpipe-worker.service": 1, "docker/serve.Dockerfile": 1, "docker/serve.yaml": 2, "kubernetes/serve.yaml": 2,
	} {
		found := line.FindAllStringSubmatch(read(t, name), -1)
		if len(found) != want {
			t.Errorf("%s: %d commands, not %d", name, len(found), want)
		}
		for _, m := range found {
			for _, f := range flag.FindAllString(m[0], -1) {
				if !strings.Contains(help[m[1]], f) {
					t.Errorf("%s: rpipe %s has no flag %s", name, m[1], f)
				}
			}
		}
	}
}

// TestKubernetesManifest: its parts speak of the same names, ports, paths and times.
func TestKubernetesManifest(t *testing.T) {
	all := documents(t, "kubernetes/serve.yaml")
	set, workers := kind(t, all, "StatefulSet", "rpipe"), kind(t, all, "Deployment", "rpipe-worker")
	if at(t, set, "spec", "replicas") != 1 {
		t.Error("more than one server has the store")
	}
	var config struct {
		Listen struct {
			Address    string
			DrainDelay string `yaml:"drain_delay"`
		}
		NATS struct {
			Listen string
			Hosts  []string
		}
		Data, Tokens, Grace string
	}
	text := at(t, kind(t, all, "ConfigMap", "rpipe"), "data", "rpipe.yaml").(string)
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rpipe.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program.Path, "check", file).CombinedOutput(); err != nil {
		t.Errorf("rpipe check: %v\n%s", err, out)
	}

	seconds := func(text string) int {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return int(d.Seconds())
	}
	pod := at(t, set, "spec", "template", "spec")
	if at(t, pod, "terminationGracePeriodSeconds").(int) <= seconds(config.Grace)+seconds(config.Listen.DrainDelay) {
		t.Error("the pod is killed before the drain is over")
	}
	if at(t, workers, "spec", "template", "spec", "terminationGracePeriodSeconds").(int) <= 30 {
		t.Error("workers are killed before their grace is over")
	}
	server := at(t, pod, "containers", 0)
	_, http, _ := net.SplitHostPort(config.Listen.Address)
	_, nats, _ := net.SplitHostPort(config.NATS.Listen)
	ports := map[string]string{http: "http", nats: "nats"}
	for i := range 2 {
		port := at(t, server, "ports", i)
		if got := ports[toText(at(t, port, "containerPort"))]; got != at(t, port, "name") {
			t.Errorf("port %v is %q in rpipe.yaml", port, got)
		}
	}
	if config.NATS.Hosts[0] != at(t, kind(t, all, "Service", "rpipe"), "metadata", "name") {
		t.Error("workers look for a host that is no service")
	}
	mounted := map[string]bool{}
	for _, m := range at(t, server, "volumeMounts").([]any) {
		mounted[at(t, m, "mountPath").(string)] = true
	}
	for _, path := range []string{filepath.Dir(config.Data), filepath.Dir(config.Tokens)} {
		if !mounted[path] {
			t.Errorf("%s is on no volume", path)
		}
	}
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		path := at(t, server, probe, "httpGet", "path")
		if path != "/readyz" && path != "/healthz" {
			t.Errorf("%s asks %v", probe, path)
		}
	}
	for _, d := range []map[string]any{set, workers} {
		labels := at(t, d, "spec", "template", "metadata", "labels", "app")
		if at(t, d, "spec", "selector", "matchLabels", "app") != labels {
			t.Errorf("%v selects others than its own pods", d["kind"])
		}
		volumes := map[any]bool{"data": d["kind"] == "StatefulSet"}
		for _, v := range at(t, d, "spec", "template", "spec", "volumes").([]any) {
			volumes[at(t, v, "name")] = true
		}
		for _, m := range at(t, d, "spec", "template", "spec", "containers", 0, "volumeMounts").([]any) {
			if !volumes[at(t, m, "name")] {
				t.Errorf("%v mounts %v, which is no volume", d["kind"], at(t, m, "name"))
			}
		}
	}
	monitor := documents(t, "kubernetes/monitor.yaml")[0]
	if at(t, monitor, "spec", "endpoints", 0, "port") != "http" || at(t, monitor, "spec", "selector", "matchLabels", "app") != "rpipe" {
		t.Error("the monitor watches something else")
	}
}

func toText(v any) string { b, _ := yaml.Marshal(v); return strings.TrimSpace(string(b)) }

// TestComposeOfTheQueue: every volume is there, and who is waited for, too.
func TestComposeOfTheQueue(t *testing.T) {
	file := documents(t, "docker/serve.yaml")[0]
	services, volumes := at(t, file, "services").(map[string]any), at(t, file, "volumes").(map[string]any)
	for name, s := range services {
		mounts, _ := s.(map[string]any)["volumes"].([]any)
		for _, m := range mounts {
			from, _, _ := strings.Cut(m.(string), ":")
			if _, named := volumes[from]; !named && !strings.HasPrefix(from, "./") {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		if waits, ok := s.(map[string]any)["depends_on"].(map[string]any); ok {
			for other := range waits {
				if services[other] == nil {
					t.Errorf("%s waits for %s", name, other)
				}
			}
		}
		if image, ok := s.(map[string]any)["image"].(string); ok && strings.HasSuffix(image, ":latest") {
			t.Errorf("%s is of no version", name)
		}
	}
	scrape := documents(t, "docker/prometheus.yaml")[0]
	if at(t, scrape, "scrape_configs", 0, "static_configs", 0, "targets", 0) != "serve:7033" {
		t.Error("Prometheus asks elsewhere")
	}
	installedCompose(t)
}

// installedCompose has docker itself look at the file, where there is one.
func installedCompose(t *testing.T) {
	t.Helper()
	docker, err := exec.LookPath("docker")
	if err != nil || exec.Command(docker, "compose", "version").Run() != nil {
		return
	}
	if out, err := exec.Command(docker, "compose", "-f", filepath.Join(files, "docker/serve.yaml"), "config", "-q").CombinedOutput(); err != nil {
		t.Errorf("docker compose config: %v\n%s", err, out)
	}
}

// TestHealthcheckOfTheQueue: the check of its Dockerfile tells a server from none.
func TestHealthcheckOfTheQueue(t *testing.T) {
	addr, dir := program.FreeAddr(t), t.TempDir()
	run(t, addr, dir, nil, program.Path, "serve", "--listen", addr, "--data", filepath.Join(dir, "data"), "--tokens", filepath.Join(dir, "tokens.json"), "--max", "-1")
	answer, err := (&http.Client{Timeout: time.Minute}).Get("http://" + addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	checkHealthcheck(t, "docker/serve.Dockerfile", "7033", addr)
}
