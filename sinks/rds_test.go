package sinks

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
)

func TestRReadsRDS(t *testing.T) {
	r, err := exec.LookPath("Rscript")
	if err != nil {
		t.Fatal(err) // make setup installs R
	}
	for _, compression := range []string{"gzip", "bzip2", "xz", "none"} {
		env := testEnv(t, "run-1")
		all := allTypes(t)
		f := must(frame.Select(all, []string{"zz_bool", "int32", "double", "string", "factor", "ordered", "date", "instant", "span", "numbers"}))(t)
		commit(t, &RDS{Path: "x.rds", Compression: compression}, env, rowsOf(frame.Slice(f, 0, 2)), rowsOf(frame.Slice(f, 2, 5)))
		code := `x <- readRDS(commandArgs(TRUE)[1])
cat(class(x), dim(x), sapply(x, function(c) class(c)[1]), "", sep = "\n")
cat(levels(x$ordered), as.character(x$ordered), x$int32, x$string[1], format(x$date[1]), "", sep = "\n")
cat(format(x$instant[1], "%Y-%m-%d %H:%M:%OS3 %Z"), units(x$span), is.na(x$double), is.nan(x$double), x$numbers[[1]], sep = "\n")`
		out, err := exec.Command(r, "--vanilla", "-e", code, filepath.Join(env.Dir, "x.rds")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		want := "data.frame 5 10 logical integer numeric character factor ordered Date POSIXct difftime list " +
			"low mid high mid low high NA low 1 2147483647 -1 NA 0 plain 2024-03-10 " +
			"2024-03-10 03:30:00.123 EDT mins FALSE FALSE TRUE TRUE FALSE FALSE FALSE TRUE FALSE FALSE 1 2"
		if d := cmp.Diff(want, strings.Join(strings.Fields(string(out)), " ")); d != "" {
			t.Errorf("%s: %s", compression, d)
		}
	}
}

func TestRDSIsBounded(t *testing.T) {
	w := open(t, &RDS{Path: "x.rds", MaxBytes: 10_000}, testEnv(t, "run-1"))
	if err := w.Write(t.Context(), rows(0, 0, 100)); err != nil {
		t.Fatal(err)
	}
	err := w.Write(t.Context(), rows(0, 0, 1000))
	if err == nil || !strings.Contains(err.Error(), "max_bytes is 10000: set rows_per_file") {
		t.Error(err)
	}
	// files that are done are not counted
	w = open(t, &RDS{Path: "out", MaxBytes: 10_000, Files: Files{RowsPerFile: 100}}, testEnv(t, "run-1"))
	for range 20 {
		if err := w.Write(t.Context(), rows(0, 0, 100)); err != nil {
			t.Fatal(err)
		}
	}
}
