package server

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// values are the results of a job, as JSON in order.
func values(t testing.TB, s *site, job string) string {
	t.Helper()
	var all []string
	err := s.c.Results(t.Context(), job, 1, 0, func(r *api.Result) error {
		text, err := json.Marshal(r.Value)
		if r.Failure != nil {
			text = []byte(r.State + ": " + r.Failure.Message)
		}
		all = append(all, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// TestWhatIsSubmittedRuns: the forms of a submission, with real R.
func TestWhatIsSubmittedRuns(t *testing.T) {
	s := withR.get(t)
	f := func(document, want string) {
		t.Helper()
		j := submit(t, s.c, document)
		ended(t, s.c, j.ID)
		if got := values(t, s, j.ID); got != want {
			t.Errorf("%s: %s, want %s", document, got, want)
		}
	}
	f(`{"fun": "function(x, y) x^2 + y", "over": [1, 2, 3], "args": {"y": 10}, "name": "squares"}`, "11 14 19")
	f(`{"fun": "sum", "args": [[1, 2], 3]}`, "6")
	f(`{"fun": "stats::weighted.mean", "args": {"x": [1, 3], "w": [3, 1]}}`, "1.5")
	f(`{"expr": "a + b", "args": {"a": 1, "b": 2}}`, "3")
	f(`{"expr": "x * 2", "over": [1, 2]}`, "2 4")
	f(`{"fun": "function(a, b) paste(a, b)", "over": [{"a": "x", "b": 1}, {"a": "y", "b": 2}], "rows": true}`, `"x 1" "y 2"`)
	f(`{"fun": "function(k, e) k + e", "over": [1, 2], "over_name": "e", "args": {"k": 10}}`, "11 12")
	f(`{"fun": "function() data.frame(a = 1:2, b = c('x', NA))"}`, `[{"a":1,"b":"x"},{"a":2,"b":null}]`)
	f(`{"fun": "function(x) if (x > 1) stop('too large') else x", "over": [1, 2]}`, "1 ERROR: too large")
	f(`{"fun": "nchar", "over": ["a", "bb"], "queue": "second", "priority": "high", "timeout": "1m", "seed": 1}`, "1 2")
}

// TestJobsBuildOnJobs: results of tasks and of whole jobs as arguments.
func TestJobsBuildOnJobs(t *testing.T) {
	s := withR.get(t)
	first := submit(t, s.c, `{"fun": "function(x) x * 10", "over": [1, 2]}`)
	second := submit(t, s.c, `{"fun": "function(all, one) sum(unlist(all)) + one", "depends_on": "`+first.ID+`",
		"args": {"all": {"$task": "`+first.ID+`"}, "one": {"$task": "`+first.ID+`.2"}}}`)
	ended(t, s.c, second.ID)
	if got := values(t, s, second.ID); got != "50" {
		t.Error(got)
	}
	failing := submit(t, s.c, `{"fun": "function() stop('no')"}`)
	after := submit(t, s.c, `{"expr": "1", "depends_on": ["`+failing.ID+`"]}`)
	ended(t, s.c, after.ID)
	got, err := s.c.Task(t.Context(), after.ID+".1")
	if err != nil || got.State != "IMPOSSIBLE" || got.Failure == nil || len(got.Failure.Tasks) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if j, err := s.c.Job(t.Context(), after.ID); err != nil || j.State != "failed" || !j.Done {
		t.Errorf("%+v, %v", j, err)
	}
}

// rscript runs R code in a scratch directory of its own and returns what it printed.
func rscript(t testing.TB, dir, code string) string {
	t.Helper()
	c := exec.Command("Rscript", "--vanilla", "-e", code)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestRSubmitsItsOwnValues: closures, frames, references and results as R has them, made
// and read by R itself.
func TestRSubmitsItsOwnValues(t *testing.T) {
	s := withR.get(t)
	dir := t.TempDir()
	rscript(t, dir, `
f <- local({ k <- 3; function(x, m) x * k + m$by })
put <- function(x, to) writeBin(serialize(x, NULL), to)
put(list(fun = f, over = list(a = 1, b = 2), args = list(m = list(by = 100)), name = "from R",
         labels = list(team = "x"), timeout = 60, packages = "stats", retry = list(errors = 1L, classes = "simpleError")), "array")
put(list(fun = function(n, d) paste(n, format(d)), over = data.frame(n = c("u", "v"), d = as.Date(c("2026-01-02", NA))), rows = TRUE), "rows")
put(list(expr = quote(mean(y)), args = list(y = c(1, 5))), "expr")
put(list(fun = "sum", args = list(1, 2)), "text")
put(list(fun = f, nme = "x"), "typo")
put(list(1), "unnamed")
put(1:10, "vector")
`)
	send := func(name string) (*api.Job, error) {
		t.Helper()
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return s.c.SubmitR(t.Context(), f)
	}
	f := func(name, want string) *api.Job {
		t.Helper()
		j, err := send(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ended(t, s.c, j.ID)
		if got := values(t, s, j.ID); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		return j
	}
	array := f("array", "103 106")
	if array.Name != "from R" || array.Labels["team"] != "x" {
		t.Errorf("%+v", array)
	}
	if task, err := s.c.Task(t.Context(), array.ID+".2"); err != nil || task.Element != "b" {
		t.Errorf("%+v, %v", task, err)
	}
	f("rows", `"u 2026-01-02" "v NA"`)
	f("expr", "3")
	f("text", "3")
	for name, want := range map[string]string{"typo": "name", "unnamed": "name for each field", "vector": "name for each field"} {
		var fault *api.Fault
		if _, err := send(name); !errors.As(err, &fault) || fault.Status != 400 || !strings.Contains(fault.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// What R gets back is what R would have had.
	resultsOf(t, s, dir, array.ID)
	if got := rscript(t, dir, `
r <- unserialize(readBin("results", "raw", 1e6))
stopifnot(length(r) == 2, identical(unserialize(r[[2]]$value), 106), r[[2]]$element == "b", r[[1]]$state == "COMPLETE", r[[2]]$n == 2L, is.null(r[[1]]$failure))
cat("same")`); got != "same" {
		t.Error(got)
	}
}

func resultsOf(t *testing.T, s *site, dir, job string) {
	t.Helper()
	status, _, body := s.ask(t, "GET", "/v1/jobs/"+job+"/results", "", "Accept", api.R)
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if err := os.WriteFile(filepath.Join(dir, "results"), []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPartialResults: those of tasks that have ended, at any time, in each form.
func TestPartialResults(t *testing.T) {
	s := withR.get(t)
	gate := filepath.Join(t.TempDir(), "gate")
	j := submit(t, s.c, `{"fun": "function(x, gate) { while (x == 2 && !file.exists(gate)) Sys.sleep(0.01); if (x == 3) stop('three'); x }",
		"over": [1, 2, 3], "args": {"gate": "`+gate+`"}, "name": "partial ü"}`)
	eventually(t, func() bool {
		j, err := s.c.Job(t.Context(), j.ID)
		return err == nil && j.States["COMPLETE"] == 1 && j.States["ERROR"] == 1
	})
	if got := values(t, s, j.ID); got != "1 ERROR: three" {
		t.Error(got)
	}
	if status, h, body := s.ask(t, "GET", "/v1/jobs/by-name/partial%20%C3%BC/results", ""); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("%d %s", status, body)
	}
	if f := s.fault(t, 409, "GET", "/v1/tasks/"+j.ID+".2/result", ""); f.Code != "not_complete" {
		t.Errorf("%+v", f)
	}
	if f := s.fault(t, 409, "GET", "/v1/tasks/"+j.ID+".3/result", ""); f.Code != "failed" || !strings.Contains(f.Message, "three") {
		t.Errorf("%+v", f)
	}
	dir := t.TempDir()
	resultsOf(t, s, dir, j.ID)
	if v, err := rdata.ReadFile(filepath.Join(dir, "results"), nil); err != nil {
		t.Error(err)
	} else if l := v.(*rdata.List); len(l.Values) != 3 || rdata.KindOf(l.Values[1]) != rdata.KindNull {
		t.Errorf("%v", v)
	}

	// With follow, the rest comes when it is there.
	rest := make(chan string, 1)
	go func() {
		_, _, body := s.ask(t, "GET", "/v1/jobs/"+j.ID+"/results?follow&from=2", "")
		rest <- body
	}()
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if body := <-rest; strings.Count(body, "\n") != 2 || !strings.Contains(body, `"n":2`) {
		t.Error(body)
	}
	ended(t, s.c, j.ID)
	status, _, body := s.ask(t, "GET", "/v1/jobs/by-name/partial%20%C3%BC/results", "")
	var all struct {
		Values []any
		Errors map[string]string
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil || status != 200 || len(all.Values) != 3 || all.Values[2] != nil || all.Errors["3"] != "three" {
		t.Errorf("%d %s %v", status, body, err)
	}
	unzip(t, s, j.ID)
}

// TestValuesThatAreNotMadeJSON: they would be too long or nest too deep, however short R's
// form of them is, and are there in that. The others of the job come all the same.
func TestValuesThatAreNotMadeJSON(t *testing.T) {
	s := withR.get(t)
	j := submit(t, s.c, `{"fun": "function(n) switch(n, factor(rep(strrep('x', 200), 1e6)), 1:1e8, Reduce(function(a, b) list(a), 1:1100, 1), 'short')", "over": [1, 2, 3, 4], "name": "long"}`)
	ended(t, s.c, j.ID)
	for _, n := range []string{".1", ".2", ".3"} {
		if f := s.fault(t, 406, "GET", "/v1/tasks/"+j.ID+n+"/result", ""); !strings.Contains(f.Message, "ask with Accept: "+api.R) {
			t.Errorf("%+v", f)
		}
	}
	got := strings.Fields(values(t, s, j.ID))
	if len(got) != 4 || !strings.HasPrefix(got[0], `{"$ref":"`) || !strings.HasPrefix(got[1], `{"$ref":"`) || !strings.HasPrefix(got[2], `{"$r":"`) || got[3] != `"short"` {
		t.Errorf("%.100q", got)
	}
	status, _, body := s.ask(t, "GET", "/v1/jobs/by-name/long/results", "")
	if status != 200 || !strings.Contains(body, `{"$ref":"`) || !strings.HasSuffix(body, `,"short"]}`+"\n") {
		t.Errorf("%d %.300s", status, body)
	}
}

// unzip looks into a download.
func unzip(t *testing.T, s *site, job string) {
	t.Helper()
	var b bytes.Buffer
	if err := s.c.Download(t.Context(), job, &b); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := "partial/results/1.rds partial/results/2.rds partial/summary.csv"; strings.Join(names, " ") != want {
		t.Errorf("%v", names)
	}
	if got := rscript(t, dir, `s <- read.csv("summary.csv"); stopifnot(readRDS("2.rds") == 2, nrow(s) == 3, s$message[3] == "three"); cat("read")`); got != "read" {
		t.Error(got)
	}
}

// TestRetriesAreFollowed: to another queue, and by resume.
func TestRetriesAreFollowed(t *testing.T) {
	s := withR.get(t)
	gate := filepath.Join(t.TempDir(), "gate")
	j := submit(t, s.c, `{"fun": "function(x, gate) { if (x == 2 && !file.exists(gate)) stop('not yet'); x }", "over": [1, 2], "args": {"gate": "`+gate+`"}}`)
	ended(t, s.c, j.ID)
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := s.c.Resume(t.Context(), j.ID)
	if err != nil || !out.Outcomes[0].OK || out.Outcomes[0].Count != 1 || out.Outcomes[0].NewID == "" {
		t.Fatalf("%+v, %v", out, err)
	}
	ended(t, s.c, j.ID)
	if got := values(t, s, j.ID); got != "1 2" {
		t.Error(got)
	}
	if old, err := s.c.Task(t.Context(), j.ID+".2"); err != nil || old.State != "MOVED" || old.MovedTo == "" {
		t.Errorf("%+v, %v", old, err)
	}
	raw, err := s.c.Result(t.Context(), j.ID+".2")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if v, err := rdata.Decode(raw, nil); err != nil || v.(*rdata.Integer).Values[0] != 2 {
		t.Errorf("%v, %v", v, err)
	}
	again, err := s.c.Retry(t.Context(), api.RetryRequest{IDs: []string{j.ID + ".1"}, Queue: "second"})
	if err != nil || !again.Outcomes[0].OK {
		t.Fatalf("%+v, %v", again, err)
	}
	ended(t, s.c, again.Outcomes[0].NewID)
	if task, err := s.c.Task(t.Context(), again.Outcomes[0].NewID); err != nil || task.Queue != "second" || task.MovedFrom != j.ID+".1" {
		t.Errorf("%+v, %v", task, err)
	}
}
