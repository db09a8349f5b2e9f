//go:build unix

package rpool

import (
	"strings"
	"testing"
)

// TestTasksChangeNothing: what a task does to options, environment variables, attached
// packages and variables of the environment is undone before the next one.
func TestTasksChangeNothing(t *testing.T) {
	w := worked(t, `known <- 1; kept <- c(a = 1); options(digits = 5); Sys.setenv(RPIPE_A = "a", RPIPE_B = "b c=d")`)
	run := func(code string) string {
		t.Helper()
		r, err := perform(t, w, expression(code), nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		return shown(t, r)
	}
	look := `paste(c(known, kept, names(kept), getOption('digits'), is.null(getOption('of.mine')), getOption('OutDec'),
		Sys.getenv('RPIPE_A'), Sys.getenv('RPIPE_B'), is.na(Sys.getenv('RPIPE_C', NA)), sum(search() == 'package:splines'),
		sum(search() == 'mine'), sum(search() == 'package:utils'), Sys.getenv('RPIPE_TASK_ID')), collapse = '|')`
	want := run(look)
	if !strings.HasPrefix(want, "1|1|a|5|TRUE|.|a|b c=d|TRUE|0|0|1|") {
		t.Fatal(want)
	}
	for _, mess := range []string{
		"known <<- 2; kept[['a']] <<- 5; NULL", "rm(known, envir = globalenv())", "names(kept) <<- 'b'",
		"options(digits = 10, of.mine = 1)", "options(OutDec = ',')",
		"Sys.setenv(RPIPE_A = 'x')", "Sys.unsetenv('RPIPE_B')", "Sys.setenv(RPIPE_C = '1')", "Sys.unsetenv('RPIPE_TASK_ID')",
		"library(splines); NULL", "attach(list(x = 1), name = 'mine'); NULL", "detach('package:utils'); NULL",
		"known <<- 7; options(digits = 3); Sys.setenv(RPIPE_A = 'y', RPIPE_C = '2'); library(splines); stop('on the way')",
	} {
		if _, err := perform(t, w, expression(mess), nil, nil); err != nil && !strings.Contains(err.Error(), "on the way") {
			t.Fatalf("%s: %v", mess, err)
		}
		if got := run(look); got != want {
			t.Errorf("after %s\n got %s\nwant %s", mess, got, want)
		}
	}
	// What a namespace sets when it is loaded stays, as the namespace does.
	if got := run("getNamespace('compiler'); 1"); got != "1" {
		t.Error(got)
	}
	// A job's packages are attached for its tasks alone.
	job := expression("sum(search() == 'package:splines')")
	job.Packages = []string{"splines"}
	for range 2 {
		r, err := perform(t, w, job, nil, nil)
		if err != nil || shown(t, r) != "1" {
			t.Errorf("%v", err)
		}
	}
	if got := run(look); got != want {
		t.Errorf("after a job with packages\n got %s\nwant %s", got, want)
	}
}
