//go:build unix

package deploy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/rpipe-dev/rpipe/internal/program"
)

// files is where what is tested lies.
const files = "../../deploy"

func TestMain(m *testing.M) { program.Main(m) }

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(files, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// installed is the path of a program that may be missing.
func installed(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{os.Getenv(strings.ToUpper(name)), name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed: apt-get install %[1]s", name)
	return ""
}

func TestSystemdTakesTheUnit(t *testing.T) {
	analyze := installed(t, "systemd-analyze")
	unit := filepath.Join(t.TempDir(), "rpipe-proxy.service")
	text := strings.ReplaceAll(read(t, "systemd/rpipe-proxy.service"), "/usr/local/bin/rpipe", program.Path)
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestFlags: what the unit and the containers start rpipe with, it has.
func TestFlags(t *testing.T) {
	help, err := exec.Command(program.Path, "proxy", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, help)
	}
	flag := regexp.MustCompile(`--[a-z][a-z-]+`)
	command := regexp.MustCompile(`(?m)^(?:ExecStart=\S+|CMD|\s+command:|\s+args:) .*\bproxy\b.*$`)
	for _, name := range []string{"systemd/rpipe-proxy.service", "docker/Dockerfile", "docker/compose.yaml", "kubernetes/api.yaml"} {
		line := command.FindString(read(t, name))
		used := flag.FindAllString(line, -1)
		if len(used) == 0 {
			t.Errorf("%s: found no command with flags", name)
		}
		for _, f := range used {
			if !strings.Contains(string(help), f) {
				t.Errorf("%s: rpipe proxy has no flag %s", name, f)
			}
		}
	}
}

// TestYAML: what is YAML is.
func TestYAML(t *testing.T) {
	for _, name := range []string{"docker/compose.yaml", "kubernetes/api.yaml"} {
		d := yaml.NewDecoder(strings.NewReader(read(t, name)))
		documents := 0
		for {
			var any map[string]any
			if err := d.Decode(&any); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			documents++
		}
		if documents == 0 {
			t.Errorf("%s has nothing in it", name)
		}
	}
}

// TestHealthcheck: the check of the Dockerfile tells a proxy from none.
func TestHealthcheck(t *testing.T) { checkHealthcheck(t, "docker/Dockerfile", "3000", serve(t)) }

// checkHealthcheck runs the HEALTHCHECK of a Dockerfile, which asks port, against what
// is ready at addr and against nobody.
func checkHealthcheck(t *testing.T, dockerfile, port, addr string) {
	t.Helper()
	check := regexp.MustCompile(`(?s)HEALTHCHECK .*?CMD (\[.*?\]\])"\]`).FindStringSubmatch(read(t, dockerfile))
	if check == nil {
		t.Fatalf("%s has no HEALTHCHECK", dockerfile)
	}
	var args []string
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(check[1]+`"]`, "\\\n", "")), &args); err != nil {
		t.Fatal(err)
	}
	ask := func(at string) error {
		script := strings.ReplaceAll(args[2], "/"+port, "/"+at)
		if script == args[2] {
			t.Fatalf("the check asks another port: %s", script)
		}
		return exec.Command(args[0], args[1], script).Run()
	}
	_, at, _ := net.SplitHostPort(addr)
	if err := ask(at); err != nil {
		t.Errorf("of what is ready: %v\n%s", err, args[2])
	}
	if err := ask("1"); err == nil {
		t.Error("of nobody: it is said to be healthy")
	}
}

func TestNGINXInFront(t *testing.T) {
	nginx := installed(t, "nginx")
	behind, front, dir := serve(t), program.FreeAddr(t), t.TempDir()
	conf := swap(t, read(t, "nginx/rpipe.conf"), "server 127.0.0.1:3000;", "server "+behind+";")
	conf = swap(t, conf, "listen 8080;", "listen "+front+";")
	all := "daemon off; pid nginx.pid; error_log stderr; events {}\nhttp { access_log off;\n" +
		"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" + conf + "}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(all), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(nginx, "-t", "-e", "stderr", "-p", dir, "-c", file).CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	run(t, front, dir, nil, nginx, "-e", "stderr", "-p", dir, "-c", file)
	inFront(t, "http://"+front, http.DefaultClient)
}

func TestCaddyInFront(t *testing.T) {
	caddy := installed(t, "caddy")
	behind, front, dir := serve(t), program.FreeAddr(t), t.TempDir()
	_, port, _ := net.SplitHostPort(behind)
	env := []string{"SITE=http://" + front, "RPIPE_PORT=" + port, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte("{\n\tadmin off\n}\n"+read(t, "caddy/Caddyfile")), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, front, dir, env, caddy, "run", "--config", file, "--adapter", "caddyfile")
	inFront(t, "http://"+front, http.DefaultClient)
}

// swap replaces what must be there.
func swap(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("there is no %q to replace", from)
	}
	return strings.ReplaceAll(text, from, to)
}

// api tells what it sees of a request.
const api = `#* @get /seen
#* @serializer unboxedJSON
function(req) list(host = req$HTTP_HOST, client = req$REMOTE_ADDR, scheme = req$rook.url_scheme)

#* @post /length
#* @parser octet
#* @serializer unboxedJSON
function(req) list(n = length(req$body))
`

// serve starts rpipe proxy with the API, as the files say that it is started.
func serve(t *testing.T) (addr string) {
	dir := t.TempDir()
	addr = program.FreeAddr(t)
	config := "version: 1\nlisten: {address: " + addr + ", trusted_proxies: [loopback]}\napis:\n  - name: api\n    plumber: {file: plumber.R}\n"
	for name, text := range map[string]string{"plumber.R": api, "proxy.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, addr, dir, nil, program.Path, "proxy", "--config", "proxy.yaml")
	// The port is there before the API is; who asks waits.
	answer, err := (&http.Client{Timeout: time.Minute}).Get("http://" + addr + "/__rpipe__/ready")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Fatalf("not ready: %s", answer.Status)
	}
	return addr
}

// run starts a server, waits until it listens, and ends it with the test.
func run(t *testing.T, addr, dir string, env []string, name string, args ...string) {
	t.Helper()
	var said strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", name, said.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen on %s", name, addr)
		}
	}
}

// inFront asks through a server in front of rpipe.
func inFront(t *testing.T, url string, client *http.Client) {
	t.Helper()
	ask := func(method, path, body string) (status int, header http.Header, text string) {
		t.Helper()
		r, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/octet-stream")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		all, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, answer.Header, string(all)
	}
	for range 3 { // over a connection that is kept
		status, _, body := ask("GET", "/seen", "")
		want := fmt.Sprintf(`{"host":"%s","client":"127.0.0.1","scheme":"http"}`, strings.TrimPrefix(url, "http://"))
		if status != 200 || body != want {
			t.Errorf("the API saw %d %s, want %s", status, body, want)
		}
	}
	if status, _, body := ask("POST", "/length", strings.Repeat("x", 3<<20)); status != 200 || body != `{"n":3145728}` {
		t.Errorf("a body of 3 MiB: %d %s", status, body)
	}
	if status, _, body := ask("GET", "/__rpipe__/status", ""); status != 404 || strings.Contains(body, "workers") {
		t.Errorf("the status page is shown to the world: %d %.100s", status, body)
	}
	if status, _, _ := ask("GET", "/__docs__/", ""); status != 200 {
		t.Errorf("the documentation: %d", status)
	}
}
