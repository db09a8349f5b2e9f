package observe

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestEachLineOfTheLogIsJSON: the program's own, the access log, and what R prints; and
// they say what they are about by the same names.
func TestEachLineOfTheLogIsJSON(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "rpipe.yaml"), `
version: 1
listen: 127.0.0.1:0
data: data
log: {format: json, level: debug, slow: 1ns}
workers: {max: 1}
`)
	serve := run(t, nil, "serve", file)
	url := serve.said(`"msg":"serving".*"url":"([^"]+)"`)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	// What a child writes to stderr is no part of the task's own log.
	id, _ := decoded(t, ask(t, "POST", url+"/v1/jobs", `{"expr": "{ message('for its log'); cat('plain\\n'); system('echo of a child >&2'); 1 }"}`,
		"Traceparent", "00-"+trace+"-b7ad6b7169203331-01"))["id"].(string)
	ask(t, "POST", url+"/v1/wait", `{"ids": ["`+id+`"]}`)
	request := serve.wrote(&serve.stdout, `"request":"(\w+)","trace":"`+trace+`"`)
	serve.said(`"msg":"(slow request)"`)
	serve.stop()

	about := map[string]bool{}
	for what, l := range map[string]*lines{"stderr": &serve.stderr, "stdout": &serve.stdout} {
		text, _ := l.read()
		for line := range strings.Lines(text) {
			at := decoded(t, line) // fails where it is no JSON
			for _, key := range []string{"time", "level", "msg"} {
				if at[key] == nil {
					t.Errorf("%s: no %s in %s", what, key, line)
				}
			}
			switch {
			case at["msg"] == "request" && at["request"] == request:
				about["access"] = at["trace"] == trace && at["route"] == "submitJob" && at["status"] == 201.0
			case at["msg"] == "slow request" && at["request"] == request:
				about["slow"] = true
			case strings.HasPrefix(at["msg"].(string), "R: of a child"):
				about["R"] = at["task"] == id+".1" && at["pid"] != nil
			}
		}
	}
	for _, what := range []string{"access", "slow"} {
		if !about[what] {
			t.Errorf("no line of %s says what it is about", what)
		}
	}
	text, _ := serve.stderr.read()
	if strings.Contains(text, "of a child") && !about["R"] {
		t.Errorf("a line of R has no task:\n%s", text)
	}
}

// TestTheLogOfARunIsJSON: also its progress.
func TestTheLogOfARunIsJSON(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "p.yaml"), `
version: 1
name: flights
r: {setup: "say <- function(data) { cat('from R\n'); data }"}
source: {range: {rows: 3}}
stages: [{map: {fun: say}}]
sink: {ndjson: {path: out.ndjson}}
`)
	p := run(t, nil, "run", file, "--log-format", "json", "--log-level", "debug", "--progress", "none", "--json")
	<-p.ended
	text, _ := p.stderr.read()
	if p.cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("it failed:\n%s", text)
	}
	said := false
	for line := range strings.Lines(text) {
		at := decoded(t, line)
		if at["run"] == nil || at["pipeline"] != "flights" {
			t.Errorf("it does not say of which run: %s", line)
		}
		said = said || at["msg"] == "R: from R" && at["pid"] != nil
	}
	if !said {
		t.Errorf("no line of R:\n%s", text)
	}
}

// TestAWrongFormatIsSaid and what there is.
func TestAWrongFormatIsSaid(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		p := run(t, nil, args...)
		<-p.ended
		if text, _ := p.stderr.read(); p.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(text, want) {
			t.Errorf("%v: %s", args, text)
		}
	}
	f(`--log-format is text or json, not "xml"`, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--log-format", "xml")
	f(`--log-level is one of debug, info, warn, error, not "all"`, "worker", "--nats", "nats://127.0.0.1:1", "--log-level", "all")
}
