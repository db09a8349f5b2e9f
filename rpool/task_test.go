//go:build unix

package rpool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
)

func stream(t testing.TB, v rdata.Value) []byte {
	t.Helper()
	b, err := rdata.Append(nil, v, rdata.Format{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func number(x ...float64) rdata.Value { return &rdata.Double{Values: x} }

var planNumber int

// function is a plan that calls R source, or a function of that name.
func function(code string, args ...TaskArg) *TaskPlan {
	planNumber++
	return &TaskPlan{Key: fmt.Sprint("plan ", planNumber), Code: TaskValue{Data: []byte(code)}, Text: true, Args: args}
}

// expression is a plan that evaluates R source.
func expression(code string, args ...TaskArg) *TaskPlan {
	p := function(code, args...)
	p.Expr = true
	return p
}

func argument(t testing.TB, name string, v rdata.Value) TaskArg {
	return TaskArg{Name: name, TaskValue: TaskValue{Data: stream(t, v)}}
}

// worked is a worker with an environment for tasks.
func worked(t *testing.T, setup string) *worker {
	t.Helper()
	return started(t, launched(t, &Environment{Setup: setup}, nil))
}

func perform(t testing.TB, w *worker, p *TaskPlan, element rdata.Value, events func(Event)) (*Reply, error) {
	t.Helper()
	c := &TaskCall{Plan: p, ID: "job.1", Worker: "w1", Attempt: 1}
	if element != nil {
		c.Element = stream(t, element)
	}
	return w.Do(t.Context(), &Request{Kind: Task, Task: c, Events: events})
}

// shown is the value of a reply as R would print it, roughly.
func shown(t testing.TB, r *Reply) string {
	t.Helper()
	v, err := rdata.Unmarshal(r.Data, nil)
	if err != nil {
		t.Fatalf("reply: %v", err)
	}
	switch v := v.(type) {
	case *rdata.Character:
		var all []string
		for i := range len(v.Offsets) - 1 {
			all = append(all, string(v.Data[v.Offsets[i]:v.Offsets[i+1]]))
		}
		return strings.Join(all, " ")
	case *rdata.Double:
		return strings.Trim(fmt.Sprint(v.Values), "[]")
	case *rdata.Integer:
		return strings.Trim(fmt.Sprint(v.Values), "[]")
	}
	return fmt.Sprintf("%T", v)
}

func TestTaskCalls(t *testing.T) {
	w := worked(t, "twice <- function(x, ...) 2 * x")
	f := func(p *TaskPlan, element rdata.Value, want string) {
		t.Helper()
		for range 2 { // the second time by what the worker has kept
			r, err := perform(t, w, p, element, nil)
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			if got := shown(t, r); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	f(function("function(x) x^2"), number(3), "9")
	f(function("twice"), number(3), "6")
	f(function("base::sum", argument(t, "", number(1, 2))), number(3), "6")
	f(function("function(a, b) paste(a, b)", argument(t, "a", text("shared"))), text("element"), "shared element")
	f(function("function() 'nothing'"), nil, "nothing")
	f(function("function(x, y) is.null(y)", argument(t, "y", rdata.Null{})), rdata.Null{}, "*rdata.Logical")
	f(expression("y <- x + k\ny * 2", argument(t, "k", number(1))), number(4), "10")
	f(expression("paste(Sys.getenv(c('RPIPE_TASK_ID', 'RPIPE_WORKER_ID', 'RPIPE_ATTEMPT')), collapse = ' ')"), nil, "job.1 w1 1")

	over := function("function(a, b) a - b", argument(t, "a", number(10)))
	over.Over = "b"
	f(over, number(4), "6")

	rows := function("function(height, name, unit) paste(name, height, unit)", argument(t, "unit", text("cm")))
	rows.Rows = true
	row := &rdata.List{Values: []rdata.Value{text("ann"), number(170)}, Attrs: rdata.Attributes{{Name: "names", Value: text("name", "height")}}}
	f(rows, row, "ann 170 cm")

	closure, err := w.Do(t.Context(), &Request{Kind: Task, Task: &TaskCall{Plan: expression("local({ n <- 0; function(by) { n <<- n + by; n } })")}})
	if err != nil {
		t.Fatal(err)
	}
	f(&TaskPlan{Key: "closure", Code: TaskValue{Data: closure.Data}}, number(5), "5") // and not 10 in the end
}

// Arguments and results by file, cached by their key, dropped where they are too
// many, and read anew for each task where it could change them in place.
func TestTaskValuesInFiles(t *testing.T) {
	w := worked(t, "")
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	shared := TaskValue{File: big, Key: "big", Size: 8e6}
	if err := os.WriteFile(big, stream(t, number(slices.Repeat([]float64{1}, 1e6)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := function("function(x, v) sum(v) + x", TaskArg{Name: "v", TaskValue: shared})
	for i := range 3 {
		r, err := perform(t, w, p, number(float64(i)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(t, r); got != fmt.Sprint(1e6+float64(i)) {
			t.Error(got)
		}
		os.Remove(big) // it has it
	}
	// Another plan that shares it, and one that does not find it.
	if r, err := perform(t, w, function("function(v) length(v)", TaskArg{TaskValue: shared}), nil, nil); err != nil || shown(t, r) != "1000000" {
		t.Errorf("%v %v", r, err)
	}
	other := function("function(v) 1", TaskArg{Name: "v", TaskValue: TaskValue{File: filepath.Join(dir, "none"), Key: "none", Size: 1}})
	if _, err := perform(t, w, other, nil, nil); err == nil || !strings.Contains(err.Error(), "argument v of the task cannot be read") {
		t.Errorf("%v", err)
	}

	// With room for nothing but what is at hand, it is dropped, and sent again.
	small := function("function(v) length(v)", TaskArg{TaskValue: TaskValue{Data: stream(t, number(1, 2, 3)), Key: "small"}})
	small.Cache = 1
	if r, err := perform(t, w, small, nil, nil); err != nil || shown(t, r) != "3" {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(big, stream(t, number(7)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := perform(t, w, p, number(1), nil); err != nil || shown(t, r) != "8" {
		t.Errorf("after it had been dropped: %v", err)
	}

	parts := function("function(x) paste(names(x), unlist(x), collapse = ' ')", TaskArg{TaskValue: TaskValue{
		Data: append(stream(t, number(1)), stream(t, number(2))...), Count: 2, Names: []string{"a", "b"},
	}})
	if r, err := perform(t, w, parts, nil, nil); err != nil || shown(t, r) != "a 1 b 2" {
		t.Errorf("%v", err)
	}

	if err := os.WriteFile(big, stream(t, number(4)), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := w.Do(t.Context(), &Request{Kind: Task, Task: &TaskCall{Plan: function("function(x) x + 1"), ElementFile: big}})
	if err != nil || shown(t, r) != "5" {
		t.Errorf("an element in a file: %v", err)
	}

	result := func(code string, most int64) *Reply {
		t.Helper()
		r, err := w.Do(t.Context(), &Request{Kind: Task, Task: &TaskCall{Plan: expression(code), Result: filepath.Join(dir, "result"), MaxInline: most}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := result("numeric(10)", 0); r.File != "" || r.Size != int64(len(r.Data)) {
		t.Errorf("a small value went into a file")
	}
	for _, code := range []string{"numeric(1e5) + 1", "local({ v <- numeric(1e5) + 1; function() v })"} {
		r := result(code, 1000)
		b, err := os.ReadFile(r.File)
		if err != nil || r.Data != nil || int64(len(b)) != r.Size || r.Size < 8e5 {
			t.Errorf("%s: %v, %d bytes of %d", code, err, len(b), r.Size)
		} else if _, err := rdata.Unmarshal(b, nil); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestTaskTellsAsItGoes(t *testing.T) {
	w := worked(t, "")
	p := function(`function() {
		cat("one\ntwo")
		message("three\nfour")
		cat("five\n")
		warning("six")
		system("echo seven; echo eight >&2")
		signalCondition(structure(list(message = 0.5), class = c("progress", "condition")))
		signalCondition(structure(list(value = list(1, "a"), message = "x"), class = c("rpipe_progress", "condition")))
		suppressMessages(message("unheard"))
		x <- capture.output(print("kept"))
		print("\u00e9t\u00e9")
		cat("end")
	}`)
	for range 2 {
		var got []string
		_, err := perform(t, w, p, nil, func(e Event) {
			if e.Progress != nil {
				v, err := rdata.Unmarshal(e.Progress, nil)
				if err != nil {
					t.Error(err)
				}
				got = append(got, fmt.Sprintf("progress %T", v))
				return
			}
			got = append(got, e.Stream.String()+" "+e.Text)
		})
		if err != nil {
			t.Fatal(err)
		}
		before := []string{"stdout one", "stdout two", "message three\nfour", "stdout five", "warning six", "stdout seven", "stdout eight"}
		if len(got) != len(before)+4 || !slices.Equal(got[:len(before)], before) {
			t.Fatalf("got\n%s", strings.Join(got, "\n"))
		}
		// progress goes another way than lines, and may be overtaken
		after := got[len(before):]
		slices.SortStableFunc(after, func(a, b string) int {
			return strings.Compare(strings.Fields(a)[0], strings.Fields(b)[0])
		})
		want := []string{"progress *rdata.Double", "progress *rdata.List", `stdout [1] "été"`, "stdout end"}
		if !slices.Equal(after, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(after, "\n"), strings.Join(want, "\n"))
		}
	}
	// Without somebody who listens it is all in the reply.
	r, err := perform(t, w, p, nil, nil)
	if err != nil || !strings.Contains(r.Output, "two") || !strings.Contains(r.Output, "four") || strings.ContainsAny(r.Output, "\x1e\x1f") {
		t.Errorf("%+v, %v", r, err)
	}
	// Forks of its own have no part in the wire.
	forks := function(`function() {
		tell <- function(v) signalCondition(structure(list(value = v), class = c("rpipe_progress", "condition")))
		sum(unlist(parallel::mclapply(1:4, function(i) { for (k in 1:50) tell(numeric(2000)); message("fork"); i })))
	}`)
	told := 0
	r, err = perform(t, w, forks, nil, func(e Event) {
		if e.Stream == Message {
			told++
		} else {
			t.Errorf("%+v", e)
		}
	})
	if err != nil || shown(t, r) != "10" || told != 4 {
		t.Errorf("%v, %d messages", err, told)
	}
	// Lines come while it runs.
	heard := make(chan string, 10)
	slow := function(fmt.Sprintf("function() { cat('now\\n'); message('and'); while (!file.exists(%q)) Sys.sleep(0.01) }", filepath.Join(t.TempDir(), "go")))
	go func() {
		for range 2 {
			select {
			case <-heard:
			case <-time.After(time.Minute):
				t.Error("nothing was heard of while it ran")
			}
		}
		touch(t, slowFile(slow))
	}()
	if _, err := perform(t, w, slow, nil, func(e Event) { heard <- e.Text }); err != nil {
		t.Error(err)
	}
}

// slowFile is the path in the code of a plan.
func slowFile(p *TaskPlan) string { return strings.Split(string(p.Code.Data), `"`)[1] }

func TestTaskErrors(t *testing.T) {
	w := worked(t, "")
	f := func(p *TaskPlan, class, message string) *ConditionError {
		t.Helper()
		_, err := perform(t, w, p, nil, nil)
		c := (*ConditionError)(nil)
		if !errors.As(err, &c) {
			t.Errorf("%v", err)
			return &ConditionError{}
		}
		if !slices.Contains(c.Classes, class) || !strings.Contains(c.Message, message) {
			t.Errorf("%v: %s", c.Classes, c.Message)
		}
		return c
	}
	c := f(function(`function() { inner <- function(y) { warning("w"); stop("no luck") }; inner(1) }`), "simpleError", "no luck")
	if !slices.Equal(c.Traceback[:2], []string{"fun()", "inner(1)"}) || c.Call != "inner(1)" || !slices.Equal(c.Warnings, []string{"w"}) {
		t.Errorf("%+v", c)
	}
	f(function("function( {"), "rpipe_code", "line 1:11: unexpected")
	f(function("1 + 1"), "rpipe_code", "a numeric of length 1, where a function was promised")
	f(function("no_such_function"), "rpipe_no_function", "there is no function no_such_function()")
	f(expression("stop(structure(class = c('mine', 'error', 'condition'), list(message = 'own', call = NULL)))"), "mine", "own")
	f(expression("(function(n) sys.function()(n + 1))(1)"), "error", "")
	p := expression("1")
	p.Packages = []string{"stats", "notThere"}
	f(p, "rpipe_package", "package notThere, which the task needs, cannot be attached: there is no package")
	p = expression("splines::bs")
	p.Packages = []string{"splines"}
	if r, err := perform(t, w, p, nil, nil); err != nil || shown(t, r) == "" {
		t.Error(err)
	}
	f(expression("Sys.sleep(0.2); x <- 0; for (i in 1:3e6) x <- x + i; stop('late')"), "simpleError", "late")
}

// What a task leaves behind is gone for the next one.
// A text that is an expression here and a function there is kept as both.
func TestTextOfTwoKinds(t *testing.T) {
	w := worked(t, "")
	code := TaskValue{Data: []byte("function(x) 7"), Key: "hash"}
	call, expr := function(""), expression("")
	call.Code, expr.Code = code, code
	for range 2 {
		if _, err := perform(t, w, call, number(1), nil); err != nil {
			t.Errorf("as a function: %v", err)
		}
		if _, err := perform(t, w, expr, nil, nil); err != nil {
			t.Errorf("as an expression: %v", err)
		}
	}
}

func TestTasksLeaveNothingBehind(t *testing.T) {
	w := worked(t, "known <- 1")
	dir := t.TempDir()
	mess := expression(fmt.Sprintf("left <<- 1; assign('also', 2, globalenv()); own <- 3; setwd(%q); sink(tempfile()); set.seed(1)", dir))
	if _, err := perform(t, w, mess, nil, nil); err != nil {
		t.Fatal(err)
	}
	r, err := perform(t, w, expression("paste(c(ls(globalenv()), exists('left'), exists('own'), getwd()), collapse = ' ')"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	wd, _ := os.Getwd()
	if got := shown(t, r); got != "known FALSE FALSE "+wd {
		t.Error(got)
	}
	// A seed is of one task.
	seed := SeedAt(1, 3)
	draw := func(s *Seed) string {
		t.Helper()
		r, err := w.Do(t.Context(), &Request{Kind: Task, Seed: s, Task: &TaskCall{Plan: function("function() runif(1)")}})
		if err != nil {
			t.Fatal(err)
		}
		return shown(t, r)
	}
	if a, b, c := draw(&seed), draw(nil), draw(&seed); a != c || a == b {
		t.Errorf("%s %s %s", a, b, c)
	}
}

func TestTaskIsStopped(t *testing.T) {
	w := worked(t, "")
	do := func(r *Request) error {
		t.Helper()
		_, err := w.Do(t.Context(), r)
		return err
	}
	slow := func(events func(Event)) *Request {
		return &Request{Kind: Task, Timeout: 300 * time.Millisecond, Events: events, Task: &TaskCall{Plan: expression("repeat { cat('.'); message('on'); Sys.sleep(0.01) }")}}
	}
	heard := 0
	if late := (*TimeoutError)(nil); !errors.As(do(slow(func(Event) { heard++ })), &late) || heard == 0 {
		t.Errorf("%v, and heard of %d", late, heard)
	}
	if r, err := perform(t, w, expression("1"), nil, nil); err != nil || shown(t, r) != "1" {
		t.Error(err)
	}
	var last string
	err := do(&Request{Kind: Task, Events: func(e Event) { last = e.Text }, Task: &TaskCall{Plan: expression("cat('the end\n'); tools::pskill(Sys.getpid(), 9); Sys.sleep(9)")}})
	if died := (*DiedError)(nil); !errors.As(err, &died) || died.Signal != "SIGKILL" || last != "the end" {
		t.Errorf("%v, %q", err, last)
	}
}

func TestTaskLimits(t *testing.T) {
	p, err := New(Options{Max: 1, CheckInterval: 50 * time.Millisecond, Grace: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	env := &Environment{Env: []string{"R_PROFILE_USER=/dev/null"}}
	run := func(r *Request, code string) *DiedError {
		t.Helper()
		r.Kind, r.Task = Task, &TaskCall{Plan: expression(code)}
		_, err := p.Do(t.Context(), env, Interactive, r)
		died := (*DiedError)(nil)
		if err != nil && !errors.As(err, &died) {
			t.Errorf("%s: %v", code, err)
		}
		return died
	}
	busy := "x <- 0; repeat x <- x + 1"
	for _, isolate := range []bool{false, true} {
		if d := run(&Request{CPU: 300 * time.Millisecond, Isolate: isolate}, busy); d == nil || !d.OverCPU || d.OutOfMemory {
			t.Errorf("processor time, isolated %v: %+v", isolate, d)
		}
		if d := run(&Request{Memory: 300 << 20, Isolate: isolate}, "x <- numeric(6e7) + 1; Sys.sleep(60)"); d == nil || !d.OutOfMemory || d.OverCPU {
			t.Errorf("memory, isolated %v: %+v", isolate, d)
		}
	}
	if d := run(&Request{Memory: 500 << 20, CPU: time.Minute}, "sum(numeric(1e6))"); d != nil {
		t.Errorf("within its limits: %v", d)
	}
}

func TestTaskIsolated(t *testing.T) {
	w := worked(t, "base <- 40")
	p := function("function(x, by) { base <<- base + by; cat('alone\n'); base + x }", argument(t, "by", number(1)))
	for range 2 {
		var lines []string
		r, err := w.Do(t.Context(), &Request{Kind: Task, Isolate: true, Events: func(e Event) { lines = append(lines, e.Text) },
			Task: &TaskCall{Plan: p, Element: stream(t, number(1))}})
		if err != nil || shown(t, r) != "42" || !slices.Equal(lines, []string{"alone"}) || r.Pid == w.Pid() {
			t.Errorf("%v %v %v", r, lines, err)
		}
	}
}

// An R of another user can read none of our files, and write none: values go as bytes,
// and a large result is fetched.
func TestTaskOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts R as another user")
	}
	w := started(t, launched(t, &Environment{Start: StartFork, User: "nobody", Dir: "/"}, nil))
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	shared, element, result := filepath.Join(dir, "shared"), filepath.Join(dir, "element"), filepath.Join(dir, "result")
	for path, x := range map[string]float64{shared: 30, element: 12} {
		if err := os.WriteFile(path, stream(t, number(x)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := function("function(x, y) rep(x + y, 1e5)", TaskArg{Name: "y", TaskValue: TaskValue{File: shared, Key: "shared", Size: 30}})
	r, err := w.Do(t.Context(), &Request{Kind: Task, Task: &TaskCall{Plan: p, ElementFile: element, Result: result, MaxInline: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(result)
	if err != nil || r.File != result || int64(len(b)) != r.Size || r.Size < 8e5 {
		t.Errorf("%+v, %d bytes, %v", r, len(b), err)
	}
}

func TestTeller(t *testing.T) {
	f := func(written []string, want ...Event) {
		t.Helper()
		tell := &teller{}
		for _, s := range written {
			tell.take([]byte(s))
		}
		if len(tell.line) > 0 {
			tell.endLine(len(tell.line))
		}
		if !slices.EqualFunc(tell.pending, want, func(a, b Event) bool { return a.Stream == b.Stream && a.Text == b.Text }) {
			t.Errorf("%q: got %q, want %q", written, tell.pending, want)
		}
	}
	f([]string{"a\nb\r\n", "c"}, Event{Stream: Stdout, Text: "a"}, Event{Stream: Stdout, Text: "b"}, Event{Stream: Stdout, Text: "c"})
	f([]string{"a\x1eMm1", "\nm2\x1fb\n"}, Event{Stream: Stdout, Text: "a"}, Event{Stream: Message, Text: "m1\nm2"}, Event{Stream: Stdout, Text: "b"})
	f([]string{"\x1eW\x1f\x1eMx\x1f\n"}, Event{Stream: Warning}, Event{Stream: Message, Text: "x"}, Event{Stream: Stdout})
	f([]string{"\x1eMhalf"}, Event{Stream: Stdout, Text: "Mhalf"})
	f([]string{"\xff\n"}, Event{Stream: Stdout, Text: "\uFFFD"})
	long := strings.Repeat("x", maxLine+10)
	f([]string{long}, Event{Stream: Stdout, Text: long[:maxLine]}, Event{Stream: Stdout, Text: long[maxLine:]})
	tell := &teller{}
	tell.take(append([]byte{markBegin}, bytes.Repeat([]byte("y"), maxMarked+10)...))
	if tell.marked {
		t.Error("a mark without an end takes all that follows")
	}
}

// BenchmarkTask is one task that does nothing beside one call that does nothing.
func BenchmarkTask(b *testing.B) {
	w := started(b, launched(b, &Environment{}, nil))
	f := func(name string, r *Request) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Do(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("call", call("identity", number(1)))
	element := &TaskCall{Plan: function("function(x) x"), Element: stream(b, number(1)), ID: "01jd3x7v9qk2m4n6p8r0s2t4v6.1", Worker: "w", Attempt: 1}
	f("task", &Request{Kind: Task, Task: element})
	f("task_told", &Request{Kind: Task, Task: element, Events: func(Event) {}})
	f("task_timeout", &Request{Kind: Task, Task: element, Events: func(Event) {}, Timeout: time.Minute})
}
