//go:build unix

package rpool

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// rejected runs r and returns the condition that it must end with.
func rejected(t *testing.T, p process, r *Request) *ConditionError {
	t.Helper()
	reply, err := p.Do(t.Context(), r)
	var c *ConditionError
	if !errors.As(err, &c) {
		t.Fatalf("got %v, %v; want a condition", reply, err)
	}
	return c
}

func TestMapAndCall(t *testing.T) {
	tpl := launched(t, &Environment{Start: StartFork, Packages: []string{"stats"}, Setup: evalCode + `
		double_x <- function(df, by = 2) { df$x <- df$x * by; df }
		warns <- function(df) { warning("w1"); warning("w2"); message("note"); cat("out\n"); df }
	`}, nil)
	p := started(t, tpl)
	column := func(r *Request) []float64 {
		t.Helper()
		reply, err := p.Do(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return value(t, reply).(*rdata.List).Values[0].(*rdata.Double).Values
	}
	frame := item(t, dataFrame("x", 1, 2, 3))

	if got := column(&Request{Kind: Map, Fun: "double_x", Data: frame}); !slices.Equal(got, []float64{2, 4, 6}) {
		t.Errorf("map: %v", got)
	}
	args := &rdata.List{Values: []rdata.Value{&rdata.Double{Values: []float64{10}}}, Attrs: rdata.Attributes{{Name: "names", Value: text("by")}}}
	if got := column(&Request{Kind: Map, Fun: "double_x", Data: frame, Args: item(t, args)}); !slices.Equal(got, []float64{10, 20, 30}) {
		t.Errorf("map with an argument: %v", got)
	}
	if got := column(&Request{Kind: Map, Fun: "utils::head", Data: frame, Args: item(t, &rdata.List{Values: []rdata.Value{&rdata.Integer{Values: []int32{2}}}})}); !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("map by pkg::name: %v", got)
	}
	reply, err := p.Do(t.Context(), run(`function(x) x + 1`))
	if err != nil {
		t.Fatal(err)
	}
	fun := value(t, reply) // a closure, opaque to Go, comes back as a function
	reply, err = p.Do(t.Context(), &Request{Kind: Call, Data: item(t, &rdata.List{Values: []rdata.Value{fun, &rdata.List{Values: []rdata.Value{&rdata.Double{Values: []float64{41}}}}}})})
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, reply).(*rdata.Double).Values; !slices.Equal(got, []float64{42}) {
		t.Errorf("call of a function value: %v", got)
	}

	reply, err = p.Do(t.Context(), &Request{Kind: Map, Fun: "warns", Data: frame})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"w1", "w2"}; !slices.Equal(reply.Warnings, want) {
		t.Errorf("warnings %q, want %q", reply.Warnings, want)
	}
	if want := "note\nout\n"; reply.Output != want {
		t.Errorf("output %q, want %q", reply.Output, want)
	}
	if reply.Pid != p.Pid() || reply.PeakRSS < 10<<20 || reply.User < 0 {
		t.Errorf("pid %d, peak %d, user %v", reply.Pid, reply.PeakRSS, reply.User)
	}
	reply, err = p.Do(t.Context(), run(`s <- Sys.time(); while (Sys.time() - s < 0.1) sqrt(1:1000); x <- numeric(4e7); x[1] <- 1; for (i in 1:60) warning(i)`))
	if err != nil {
		t.Fatal(err)
	}
	if reply.User+reply.System < 20e6 || reply.PeakRSS < 300<<20 || len(reply.Warnings) != 50 {
		t.Errorf("user %v, system %v, peak %d, %d warnings", reply.User, reply.System, reply.PeakRSS, len(reply.Warnings))
	}
}

func TestConditions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "model.R")
	if err := os.WriteFile(file, []byte(`predict_delay <- function(df) {
  inner(df)
}
inner <- function(df) {
  warning("careful")
  cat("so far\n")
  stop("no column 'dep_delay'")
}
number <- function(df) 1
`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := started(t, launched(t, &Environment{Start: StartFork, Sources: []string{file}, Setup: evalCode}, nil))
	frame := item(t, dataFrame("x", 1))

	c := rejected(t, p, &Request{Kind: Map, Fun: "predict_delay", Data: frame})
	want := &ConditionError{
		Classes: []string{"simpleError", "error", "condition"}, Message: "no column 'dep_delay'", Call: "inner(df)",
		Traceback: []string{"predict_delay(data)", "inner(df) at model.R:2", `stop("no column 'dep_delay'") at model.R:7`},
		Warnings:  []string{"careful"}, Output: "so far\n",
	}
	if c.Error() != want.Error() || !slices.Equal(c.Classes, want.Classes) || !slices.Equal(c.Traceback, want.Traceback) ||
		!slices.Equal(c.Warnings, want.Warnings) || c.Output != want.Output {
		t.Errorf("got  %#v\nwant %#v", c, want)
	}

	says := func(r *Request, class string, messages ...string) {
		t.Helper()
		c := rejected(t, p, r)
		if c.Classes[0] != class {
			t.Errorf("class %q, want %q", c.Classes[0], class)
		}
		for _, m := range messages {
			if !strings.Contains(c.Message, m) {
				t.Errorf("message %q lacks %q", c.Message, m)
			}
		}
	}
	says(&Request{Kind: Map, Fun: "number", Data: frame}, "rpipe_not_a_data_frame", "number() returned a numeric of length 1", "data.frame")
	says(&Request{Kind: Map, Fun: "predict_delays", Data: frame}, "rpipe_no_function", "no function predict_delays()", "did you mean predict_delay?")
	says(&Request{Kind: Map, Fun: "zzzzzzzzz", Data: frame}, "rpipe_no_function", "the sources define eval_code, inner, number, predict_delay")
	says(&Request{Kind: Map, Fun: "stats::nothing", Data: frame}, "simpleError", "'nothing' is not an exported object from 'namespace:stats'")
	says(&Request{Kind: Map, Fun: "nopkg::f", Data: frame}, "packageNotFoundError", "nopkg")
	says(run(`stop(structure(class = c("mine", "error", "condition"), list(message = "m", call = NULL)))`), "mine", "m")
	if c := rejected(t, p, run(`f <- function(n) f(n + 1); f(1)`)); !strings.Contains(strings.Join(c.Classes, " "), "tackOverflow") {
		t.Errorf("endless recursion: %v, class %q", c, c.Classes)
	}
	says(run(`options(expressions = 50); on.exit(options(expressions = 5000)); f <- function(n) f(n + 1); f(1)`), "expressionStackOverflowError", "infinite recursion")
	says(run(`rlang <- quote(x + `), "simpleError", "unexpected")
	says(run(`invisible(gc); stop("caf\u00e9 \u6f22")`), "simpleError", "café 漢")
	says(run(`log(-1:0 + "a")`), "simpleError", "non-numeric")

	// The worker is as it was.
	if _, err := p.Do(t.Context(), run("1")); err != nil {
		t.Error(err)
	}
}

func TestARequestLeavesTheLoopInOrder(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	for _, code := range []string{
		`sink(file.path(tempdir(), "sunk")); sink(file.path(tempdir(), "deeper"))`,
		`options(error = quote(cat("no\n"))); stop("x")`,
		`tryCatch(stop("x"), error = identity); 1`,
		`suspendInterrupts(1)`,
		`warning("x"); try(stop("y"), silent = TRUE); 2`,
		`withCallingHandlers(stop("z"), error = function(e) invokeRestart("muffle"))`,
	} {
		_, err := p.Do(t.Context(), run(code))
		if c := (*ConditionError)(nil); err != nil && !errors.As(err, &c) {
			t.Fatalf("%s: %v", code, err)
		}
		r, err := p.Do(t.Context(), run(`cat("seen"); 7`))
		if err != nil {
			t.Fatalf("after %s: %v", code, err)
		}
		if r.Output != "seen" || value(t, r).(*rdata.Double).Values[0] != 7 || r.Warnings != nil {
			t.Errorf("after %s: %+v", code, r)
		}
	}
}
