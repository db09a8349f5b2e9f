package observe

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/otlptest"
)

// TestOneTaskIsOneTraceOverProcesses: the client's span, the request, the submission, the
// wait, the attempt on another process and what R did there are one tree, and R knows it.
func TestOneTaskIsOneTraceOverProcesses(t *testing.T) {
	to, dir := otlptest.Start(t), t.TempDir()
	file := write(t, filepath.Join(dir, "rpipe.yaml"), `
version: 1
listen: 127.0.0.1:0
data: data
workers: {none: true}
nats: {listen: "127.0.0.1:0"}
tracing: {endpoint: "`+to.HTTP+`", attributes: {team: a}}
`)
	join := filepath.Join(dir, "join.json")
	serve := run(t, nil, "serve", file, "--join", join)
	url := serve.said(`msg=serving url=(\S+)`)
	worker := run(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, "worker", "--join", join, "--max", "1")
	worker.said(`msg=working`)

	const client = "0af7651916cd43dd8448eb211c80319c"
	submit := func(expr string) (id string) {
		out := decoded(t, ask(t, "POST", url+"/v1/jobs", `{"expr": "`+expr+`"}`, "Traceparent", "00-"+client+"-b7ad6b7169203331-01"))
		id, _ = out["id"].(string)
		ask(t, "POST", url+"/v1/wait", `{"ids": ["`+id+`"]}`)
		return id
	}
	good := submit(`Sys.getenv('TRACEPARENT')`)
	bad := submit(`stop('no such flight')`)
	told := ask(t, "GET", url+"/v1/tasks/"+good+".1/result", "", "Accept", "application/json")
	worker.stop()
	serve.stop()

	spans := to.Await(t, "POST submitJob", "submit", "queue", "task", "values get", "R wait", "R run", "record")
	of := func(name, task string) *otlptest.Span {
		t.Helper()
		for i := range spans {
			if s := &spans[i]; s.Name == name && (s.Attrs["rpipe.task"] == task+".1" || s.Attrs["rpipe.job"] == task) {
				return s
			}
		}
		t.Fatalf("no span %s of %s:\n%s", name, task, otlptest.Tree(spans))
		return nil
	}
	below := func(name string, parent *otlptest.Span) *otlptest.Span {
		t.Helper()
		for i := range spans {
			if s := &spans[i]; s.Name == name && s.Parent == parent.ID {
				return s
			}
		}
		t.Fatalf("no span %s below %s:\n%s", name, parent.Name, otlptest.Tree(spans))
		return nil
	}
	submitted, queue, task := of("submit", good), of("queue", good), of("task", good)
	if queue.Parent != submitted.ID || task.Parent != submitted.ID {
		t.Errorf("the task is not below its submission:\n%s", otlptest.Tree(spans))
	}
	request := otlptest.Find(spans, "POST submitJob")
	if request.Parent != "b7ad6b7169203331" || request.Attrs["http.response.status_code"] != "201" || request.Attrs["rpipe.request"] == "" {
		t.Errorf("the request is %+v", request)
	}
	if submitted.Parent == "" || request.Resource["service.name"] != "rpipe-serve" || task.Resource["service.name"] != "rpipe-worker" || request.Resource["team"] != "a" {
		t.Errorf("services %v and %v", request.Resource, task.Resource)
	}
	ran := below("R run", task)
	below("R wait", task)
	below("values get", task)
	below("record", task)
	if want := "00-" + client + "-" + ran.ID + "-01"; !strings.Contains(told, want) {
		t.Errorf("R knows %s, want %s", told, want)
	}
	for _, s := range spans {
		if s.Trace != client && (s.Attrs["rpipe.job"] != "" || s.Attrs["rpipe.task"] != "") {
			t.Errorf("%s is of another trace", s.Name)
		}
		if s.End.Before(s.Start) {
			t.Errorf("%s ends before it begins", s.Name)
		}
	}
	failed := of("task", bad)
	if failed.Error != "no such flight" || failed.Attrs["rpipe.cause"] != "error" || len(failed.Events) == 0 || failed.Events[0].Attrs["exception.type"] != "simpleError" {
		t.Errorf("the task that failed is %+v", failed)
	}
}

// TestAPipelineIsATrace: the run, its stages, batches, R and the commit.
func TestAPipelineIsATrace(t *testing.T) {
	to, dir := otlptest.Start(t), t.TempDir()
	file := write(t, filepath.Join(dir, "p.yaml"), `
version: 1
name: flights
r: {setup: "tell <- function(data) transform(data, x = Sys.getenv('TRACEPARENT'))"}
source: {range: {rows: 30}}
stages:
  - batch: {rows: 10}
  - map: {fun: tell}
sink: {ndjson: {path: out.ndjson}}
`)
	p := run(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.HTTP}, "run", file, "--progress", "none", "--log-format", "json")
	<-p.ended
	text, _ := p.stderr.read()
	if p.cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("it failed:\n%s", text)
	}
	spans := to.Await(t, "run", "stage source", "stage map", "batch", "R run", "write", "commit")
	root := otlptest.Find(spans, "run")
	names := map[string]int{}
	for _, s := range spans {
		names[s.Name]++
		if s.Trace != root.Trace || s.Name != "run" && s.Parent == "" {
			t.Errorf("%s is not part of the run's trace", s.Name)
		}
	}
	if names["batch"] < 3 || names["R run"] != 3 || names["write"] != 3 || root.Attrs["rpipe.rows_written"] != "30" || root.Attrs["rpipe.pipeline"] != "flights" {
		t.Errorf("spans %v, run %v:\n%s", names, root.Attrs, otlptest.Tree(spans))
	}
	out := read(t, filepath.Join(dir, "out.ndjson"))
	if !strings.Contains(out, root.Trace) {
		t.Errorf("R did not know its trace: %.200s", out)
	}
}
