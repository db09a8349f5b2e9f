package server

import (
	"archive/zip"
	"bytes"
	"errors"
	"mime"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// TestHeaders: no answer can be framed, run, guessed at, or lead back to where it was.
func TestHeaders(t *testing.T) {
	s := serve(t, nil)
	for _, path := range []string{"/v1/info", "/v1/nothing", "/healthz", "/metrics", "/openapi.json", "/login", "/login/style.css", "/nothing"} {
		_, h, _ := s.ask(t, "GET", path, "")
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "",
		} {
			if got := h.Get(name); got != want || len(h[name]) > 1 {
				t.Errorf("%s: %s: %q, want %q", path, name, h[name], want)
			}
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.HasPrefix(csp, "default-src '") || strings.Contains(csp, "unsafe") || h.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %q %q", path, csp, h.Get("Referrer-Policy"))
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other sites may read it", path)
		}
	}
	// Behind a proxy that speaks TLS, which is trusted to say so.
	s = serve(t, func(f *File) { f.Listen.TrustedProxies = append(f.Listen.TrustedProxies, loopbackNetwork(t)) })
	_, h, _ := s.ask(t, "GET", "/healthz", "", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https")
	if h.Get("Strict-Transport-Security") == "" {
		t.Errorf("%v", h)
	}
}

// TestTokensInAddresses are refused, and written nowhere.
func TestTokensInAddresses(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	s := serve(t, func(f *File) { f.Log.Access, f.Log.File, f.Auth = "combined", log, "always" })
	secret := s.token(t, "ana", tokens.Submit)
	for _, path := range []string{
		"/v1/info?token=" + secret, "/v1/info?access_token=" + secret, "/v1/jobs/" + secret, "/?x=" + secret, "/login?token=" + secret,
		"/v1/info?a=%72pt_" + secret[4:], "/v1/info?access_token=whatever",
	} {
		f := s.fault(t, 400, "GET", path, "", "Authorization", "Bearer "+secret)
		if f.Code != "token_in_url" && !strings.Contains(path, "%72") || strings.Contains(f.Message, secret) {
			t.Errorf("%s: %+v", path, f)
		}
	}
	if status, _, _ := s.ask(t, "GET", "/v1/info", "", "Authorization", "Bearer "+secret, "Referer", "https://x/?t="+secret); status != 200 {
		t.Errorf("%d", status)
	}
	s.close()
	text, err := os.ReadFile(log)
	if err != nil || bytes.Count(text, []byte("\n")) < 8 || bytes.Contains(text, []byte(secret[8:])) {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestSecretsAreNotWritten: tokens, cookies, addresses of webhooks and values of
// arguments are in no log and no file that is not theirs.
func TestSecretsAreNotWritten(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "access.log")
	f := config(dir)
	f.Log.Access, f.Log.File, f.Auth = "json", log, "always"
	withTarget(f, "ops", "http://127.0.0.1:1/hidden-path", nil)
	out := &syncBuffer{}
	s, err := launchTo(f, Options{}, out)
	if err != nil {
		t.Fatal(err)
	}
	secret, admin := s.token(t, "ana", tokens.Submit), s.token(t, "ada", tokens.Admin)
	b := s.browser(t)
	b.login(t, secret, "")
	b.login(t, "rpt_wrong-but-long-enough-to-be-one", "")
	b.is(t, 400, "POST", "/v1/jobs", nil, "X-CSRF-Token", b.csrf(t), "Content-Type", "application/json")
	s.ask(t, "POST", "/v1/notify/ops/test", "", "Authorization", "Bearer "+admin)
	s.ask(t, "PUT", "/v1/environments/e", `{"env": {"PASSWORD": "hidden-variable"}}`, "Authorization", "Bearer "+admin)
	s.ask(t, "POST", "/v1/jobs", `{"expr": "1", "args": {"x": "hidden-argument"}}`, "Authorization", "Bearer "+secret)
	u, err := s.browserURL()
	if err != nil {
		t.Fatal(err)
	}
	cookie := b.Jar.Cookies(u)[0].Value
	csrf := b.csrf(t)
	s.close()
	hidden := []string{secret, admin, cookie, csrf, "hidden-path", "hidden-variable", "hidden-argument", "wrong-but-long"}
	check := func(name, text string) {
		for _, h := range hidden {
			if strings.Contains(text, h) {
				t.Errorf("%s has %s", name, h)
			}
		}
	}
	out.mu.Lock()
	check("the log", out.b.String())
	if !strings.Contains(out.b.String(), "level=") {
		t.Error("nothing was logged")
	}
	out.mu.Unlock()
	for _, name := range []string{log, dir + "/data/sessions.json", dir + "/tokens.json"} {
		text, err := os.ReadFile(name)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		check(name, string(text))
	}
	files, err := filepath.Glob(dir + "/data/audit/*")
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || !bytes.Contains(text, []byte(`"submitJob"`)) {
		t.Errorf("%v\n%s", err, text)
	}
	check("the audit log", string(text))
}

// TestPathsLeadNowhere: what names a thing cannot name a file.
func TestPathsLeadNowhere(t *testing.T) {
	s := serve(t, nil)
	outside := filepath.Join(filepath.Dir(s.data), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	ups := []string{"../outside", "..%2foutside", "..%2f..%2foutside", "%2e%2e/outside", "..%5coutside", "....//outside", "%2fetc%2fpasswd", "a%00b", "..", ".", "%2e%2e"}
	for _, up := range ups {
		for _, path := range []string{
			"/v1/jobs/" + up, "/v1/jobs/" + up + "/download", "/v1/tasks/" + up + "/log", "/v1/values/" + up, "/v1/environments/" + up,
			"/v1/worker-configs/" + up, "/v1/workers/" + up + "/log", "/v1/queues/" + up, "/v1/jobs/by-name/" + up + "/results",
			"/login/" + up, "/ui/static/" + up, "/ui/" + up,
		} {
			status, _, body := s.raw(t, "GET", path, "")
			if status >= 500 || strings.Contains(body, "secret") || strings.Contains(body, "root:") {
				t.Errorf("GET %s: %d %s", path, status, body)
			}
			if status == 200 && !strings.HasPrefix(path, "/ui") && !strings.HasPrefix(path, "/v1/queues") && !strings.HasSuffix(up, ".") && !strings.HasSuffix(up, "e") {
				t.Errorf("GET %s: %d %s", path, status, body)
			}
		}
		for path, body := range map[string]string{"/v1/environments/" + up: `{}`, "/v1/worker-configs/" + up: `{}`, "/v1/queues/" + up: `{}`} {
			if status, _, body := s.raw(t, "PUT", path, body); status == 200 || status >= 500 {
				t.Errorf("PUT %s: %d %s", path, status, body)
			}
		}
	}
	// A copy of the store goes where it is told, or nowhere.
	for _, dir := range []string{"relative", "../x", "/tmp/../etc/x", s.data + "/./x", "/tmp//x", ""} {
		if f := s.fault(t, 400, "POST", "/v1/backup", `{"dir": "`+dir+`"}`); f.Field != "dir" {
			t.Errorf("%s: %+v", dir, f)
		}
	}
	if status, _, body := s.ask(t, "POST", "/v1/backup", `{"dir": "`+filepath.Dir(s.data)+`"}`); status != 409 {
		t.Errorf("%d %s", status, body)
	}
	// Names in a submission, too.
	for _, doc := range []string{`{"expr":"1","queue":"../x"}`, `{"expr":"1","id":"../../x"}`, `{"expr":"1","env":"../x"}`} {
		if status, _, body := s.ask(t, "POST", "/v1/jobs", doc); status != 400 && status != 404 {
			t.Errorf("%s: %d %s", doc, status, body)
		}
	}
}

// TestNamesInHeaders: a name cannot end a header, nor leave the directory of a zip.
func TestNamesInHeaders(t *testing.T) {
	s := serve(t, nil)
	for name, want := range map[string]string{
		`a\r\nSet-Cookie: x=y`:            "a__Set-Cookie__x_y",
		`../../etc/passwd`:                "etc_passwd",
		`\"; filename=\"evil.exe`:         "filename__evil.exe",
		`naïve résumé`:                    "na_ve_r_sum",
		`C:\\windows\\` + "x":             "C__windows_x",
		strings.Repeat("n", 90) + "/../x": strings.Repeat("n", 90) + "_.._x",
	} {
		status, _, body := s.ask(t, "POST", "/v1/jobs", `{"expr": "1", "queue": "nobody", "name": "`+name+`"}`)
		if status == 400 {
			continue // such names are not taken at all
		}
		var id string
		if _, after, ok := strings.Cut(body, `"id":"`); ok {
			id, _, _ = strings.Cut(after, `"`)
		}
		status, h, zipped := s.ask(t, "GET", "/v1/jobs/"+id+"/download", "")
		if status != 200 || len(h["Content-Disposition"]) != 1 || h.Get("Set-Cookie") != "" || strings.ContainsAny(h.Get("Content-Disposition"), "/\\\r\n") {
			t.Errorf("%s: %d %v", name, status, h)
		}
		_, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
		if got := params["filename"]; err != nil || got != want+".zip" {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
		z, err := zip.NewReader(strings.NewReader(zipped), int64(len(zipped)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			if !filepath.IsLocal(f.Name) || slices.Contains(strings.Split(f.Name, "/"), "..") || strings.Contains(f.Name, "\\") {
				t.Errorf("%s: the zip has %q", name, f.Name)
			}
		}
	}
	// Nor can what a client sends along.
	status, h, _ := s.ask(t, "GET", "/v1/info", "", "X-Request-Id", "a\tb\"<script>")
	if status != 200 || strings.ContainsAny(h.Get("X-Request-Id"), "\t<\"") {
		t.Errorf("%d %q", status, h.Get("X-Request-Id"))
	}
}

// TestTheDataDirectoryIsClosed to others, also one that was open.
func TestTheDataDirectoryIsClosed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/data", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"/data", 0o755); err != nil {
		t.Fatal(err)
	}
	out := &syncBuffer{}
	s, err := launchTo(config(dir), Options{}, out)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	info, err := os.Stat(dir + "/data")
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if !strings.Contains(out.b.String(), "the data directory was open to others") {
		t.Errorf("%s", out.b.String())
	}
	err = filepath.Walk(dir+"/data", func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 && !strings.Contains(path, "/nats/") {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestWhoSeesTheAudit: an administrator; and each his own log-ins.
func TestWhoSeesTheAudit(t *testing.T) {
	s := serve(t, nil)
	for _, scope := range []tokens.Scope{tokens.Submit, tokens.Read} {
		if f := s.fault(t, 403, "GET", "/v1/audit", "", "Authorization", "Bearer "+s.token(t, "x", scope)); f.Code != "forbidden" {
			t.Errorf("%s: %+v", scope, f)
		}
	}
	bo := "Bearer " + s.token(t, "bo", tokens.Submit)
	s.browser(t).login(t, s.token(t, "ana", tokens.Submit), "")
	status, _, body := s.ask(t, "GET", "/v1/sessions", "", "Authorization", bo)
	if status != 200 || strings.Contains(body, "ana") {
		t.Errorf("%d %s", status, body)
	}
	s.fault(t, 403, "GET", "/v1/sessions?owner=ana", "", "Authorization", bo)
	s.fault(t, 403, "GET", "/v1/sessions?owner=*", "", "Authorization", bo)
	var out api.Sessions
	s.get(t, "/v1/sessions?owner=*", &out)
	if len(out.Sessions) != 1 || out.Sessions[0].Owner != "ana" || out.Sessions[0].Address != "127.0.0.1" {
		t.Errorf("%+v", out)
	}
}

// raw sends a path as it is, which net/http's client would clean.
func (s *site) raw(t testing.TB, method, path, body string) (int, http.Header, string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return roundTrip(t, c, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", body)
}
