package server

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// pipelineFiles are a directory of pipelines.
func pipelineFiles(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// get asks for a document.
func get[T any](t *testing.T, s *site, path string, header ...string) (out T) {
	t.Helper()
	status, _, body := s.ask(t, http.MethodGet, path, "", header...)
	if status != 200 {
		t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return out
}

// runsWell asks for a run and waits until it has ended well.
func runsWell(t *testing.T, s *site, path, body string) api.PipelineRun {
	t.Helper()
	status, header, text := s.ask(t, http.MethodPost, path, body)
	var run api.PipelineRun
	if err := json.Unmarshal([]byte(text), &run); err != nil || status != 201 || header.Get("Location") != "/v1/pipeline-runs/"+run.ID {
		t.Fatalf("POST %s: %d %s %v", path, status, text, err)
	}
	eventually(t, func() bool {
		run = get[api.PipelineRun](t, s, "/v1/pipeline-runs/"+run.ID)
		return run.Ended != nil
	})
	if run.State != string(schedule.Complete) {
		t.Fatalf("POST %s: %+v", path, run)
	}
	return run
}

const byHand = `version: 1
source: {csv: {path: in.csv, types: {x: int32}, on_error: dead_letter}}
stages: [{derive: {y: x * 2}}]
sink: {csv: {path: "${out:out}", if_exists: append}}
dead_letter: {path: dead}
`

// A pipeline is listed, run by hand, and what it has done is told; broken ones say why.
func TestPipelinesOverREST(t *testing.T) {
	dir := pipelineFiles(t, map[string]string{
		"hand.yaml": byHand, "in.csv": "x\n1\nbad\n3\n", "broken.yaml": "version: 1\nsink: {csv: {path: out}}\n",
		"daily.yaml": "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: daily, if_exists: append}}\nschedule: {cron: '0 3 * * *', time_zone: Europe/Berlin}\n",
	})
	s := serve(t, func(f *File) { f.Pipelines.Dir = dir })
	all := get[api.Pipelines](t, s, "/v1/pipelines")
	if len(all.Pipelines) != 3 || all.Directory != dir {
		t.Fatalf("%+v", all)
	}
	broken, daily, hand := all.Pipelines[0], all.Pipelines[1], all.Pipelines[2]
	if broken.State != "broken" || len(broken.Problems) != 1 || broken.Problems[0].Line != 1 || !strings.Contains(broken.Problems[0].Message, "required") && !strings.Contains(broken.Problems[0].Message, "missing") {
		t.Errorf("broken %+v", broken)
	}
	if daily.Cron != "0 3 * * *" || daily.Next == nil || daily.Pool != "own" {
		t.Errorf("daily %+v", daily)
	}
	if hand.State != "ok" || hand.Next != nil || !hand.Dead || len(hand.Nodes) != 3 || hand.Nodes[1].Component != "derive" || hand.Nodes[2].After != 1 {
		t.Errorf("hand %+v", hand)
	}
	if plan := get[api.PipelinePlan](t, s, "/v1/pipelines/hand/plan"); len(plan.Nodes) != 3 || len(plan.Nodes[1].Columns) != 2 || plan.Commit == "" {
		t.Errorf("plan %+v", plan)
	}

	run := runsWell(t, s, "/v1/pipelines/hand/run", `{"values": {"out": "other"}}`)
	if run.Rows != 2 || len(run.Files) != 1 || run.Values["out"] != "other" || run.Report == nil || run.Cause != "manual" {
		t.Errorf("run %+v", run)
	}
	out := get[api.PipelineOutput](t, s, "/v1/pipeline-runs/"+run.ID+"/output")
	if len(out.Sinks) != 1 || out.Sinks[0].Rows != 2 || out.Sinks[0].Count != 1 || out.Sinks[0].Path != filepath.Join(dir, "other") {
		t.Errorf("output %+v", out)
	}
	if runs := get[api.Runs](t, s, "/v1/pipelines/hand/runs"); len(runs.Runs) != 1 || runs.Runs[0].ID != run.ID {
		t.Errorf("runs %+v", runs)
	}
	if status, _, log := s.ask(t, "GET", "/v1/runs/"+run.ID+"/log", "", "Accept", "text/plain"); status != 200 || !strings.Contains(log, "rows_written=2") {
		t.Errorf("log: %d %s", status, log)
	}

	dead := get[api.PipelineDeadLetters](t, s, "/v1/pipelines/hand/dead-letters")
	if len(dead.Rows) != 1 || dead.Rows[0].Raw == nil || *dead.Rows[0].Raw != "bad" || len(dead.Groups) != 1 || dead.Rows[0].Run != run.ID {
		t.Errorf("dead letters %+v", dead)
	}
	mended := strings.Replace(byHand, "{x: int32}", "{x: string}", 1)
	mended = strings.Replace(mended, "x * 2", "x", 1)
	if err := os.WriteFile(filepath.Join(dir, "hand.yaml"), []byte(mended), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, body := s.ask(t, "POST", "/v1/reload", ""); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	if again := runsWell(t, s, "/v1/pipelines/hand/replay", ""); again.Rows != 1 || !again.Replay {
		t.Errorf("replay %+v", again)
	}
	if dead := get[api.PipelineDeadLetters](t, s, "/v1/pipelines/hand/dead-letters"); len(dead.Rows) != 0 {
		t.Errorf("dead letters %+v", dead)
	}
}

// What cannot be is said, and who may not is refused.
func TestPipelinesAreRefused(t *testing.T) {
	dir := pipelineFiles(t, map[string]string{"hand.yaml": byHand, "broken.yaml": "version: 1\n"})
	s := serve(t, func(f *File) { f.Pipelines.Dir = dir })
	f := func(status int, method, path, body, want string) {
		t.Helper()
		if fault := s.fault(t, status, method, path, body); !strings.Contains(fault.Message+" "+fault.Field, want) {
			t.Errorf("%s %s: %+v, want …%s…", method, path, fault, want)
		}
	}
	f(404, "GET", "/v1/pipelines/none", "", `no pipeline "none"`)
	f(404, "GET", "/v1/pipelines/none/runs", "", `no pipeline "none"`)
	f(409, "POST", "/v1/pipelines/broken/run", "", "its file has an error")
	f(400, "POST", "/v1/pipelines/hand/run", `{"values": {"nothing": "1"}}`, "nothing")
	f(400, "POST", "/v1/pipelines/hand/run", `{"value": {}}`, "value")
	f(404, "GET", "/v1/pipeline-runs/01jd3x7v9qk2m4n6p8r0s2t4v6", "", "there is no run")

	ana := []string{"Authorization", "Bearer " + s.token(t, "ana", tokens.Submit)}
	eventually(t, func() bool { status, _, _ := s.ask(t, "GET", "/v1/info", "", ana...); return status == 200 })
	if all := get[api.Pipelines](t, s, "/v1/pipelines", ana...); len(all.Pipelines) != 0 || all.Directory != "" {
		t.Errorf("another sees %+v", all)
	}
	s.fault(t, 404, "POST", "/v1/pipelines/hand/run", "", ana...)
	reader := []string{"Authorization", "Bearer " + s.token(t, "bob", tokens.Read, tokens.Submit)}
	eventually(t, func() bool { status, _, _ := s.ask(t, "GET", "/v1/info", "", reader...); return status == 200 })
	if all := get[api.Pipelines](t, s, "/v1/pipelines", reader...); len(all.Pipelines) != 2 {
		t.Errorf("a reader sees %+v", all)
	}
	s.fault(t, 403, "POST", "/v1/pipelines/hand/run", "", reader...)

	if _, err := launch(func() *File {
		c := config(t.TempDir())
		c.Pipelines.Dir = filepath.Join(dir, "none")
		return c
	}(), Options{}); err == nil || !strings.Contains(err.Error(), "pipelines.dir: open "+filepath.Join(dir, "none")) {
		t.Errorf("without a directory: %v", err)
	}
}
