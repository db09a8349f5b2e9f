package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// TestSubmit: a job is there with its tasks, and they run.
func TestSubmit(t *testing.T) {
	r := start(t)
	one := r.submit(ann, text("function() 1"))
	many := r.submit(ann, text("function(x) x", over(1200)))
	if one.N != 1 || one.Array || many.N != 1200 || !many.Array {
		t.Errorf("jobs of %d and %d tasks", one.N, many.N)
	}
	counts, err := r.Counts(within(t), ann, index.Filter{Job: many.ID})
	if err != nil || counts[tasks.Pending] != 1200 {
		t.Errorf("%v, %v: want 1200 PENDING", counts, err)
	}
	r.work("w", done)
	if w := r.wait(one.ID, many.ID); w.Total != 1201 || w.States[tasks.Complete] != 1201 {
		t.Errorf("%+v", w)
	}
	got := r.task(tasks.TaskID(many.ID, 1200))
	if got.State != tasks.Complete || string(got.Result.Data) != "ok" || got.Attempt != 1 {
		t.Errorf("%+v", got)
	}
}

// TestElements: each task finds its element, in blocks of about the same size.
func TestElements(t *testing.T) {
	r := start(t, noChores)
	for _, c := range []struct{ n, size, blocks int }{{1, 1, 1}, {5000, 3, 2}, {10, 100_000, 4}} {
		s := text("f", func(s *Submission) {
			s.Array = true
			s.Each = func(yield func([]byte, error) bool) {
				for i := range c.n {
					if !yield(fmt.Appendf(nil, "%0*d", c.size, i+1), nil) {
						return
					}
				}
			}
		})
		j := r.submit(ann, s)
		if len(j.Over.Blocks) != c.blocks {
			t.Errorf("%d elements of %d bytes: %d blocks", c.n, c.size, len(j.Over.Blocks))
		}
		for _, n := range []int{1, c.n/2 + 1, c.n} {
			data, err := r.s.Bytes(within(t), j.Over.Blocks[(n-1)/j.Over.PerBlock], 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			b, err := blob.ReadBlock(data)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(b.At((n - 1) % j.Over.PerBlock)); got != fmt.Sprintf("%0*d", c.size, n) {
				t.Errorf("element %d is %.20s", n, got)
			}
		}
	}
}

// TestValues: what is large is a blob, and small things stand in the job.
func TestValues(t *testing.T) {
	r := start(t, noChores)
	large := strings.Repeat("x", tasks.MaxInline+1)
	j := r.submit(ann, text(large, over(3), func(s *Submission) {
		s.Job.Call.Args = []tasks.Arg{{Name: "a", Value: tasks.Value{Data: []byte("small")}}, {Value: tasks.Value{Data: []byte(large)}}}
		s.Job.Over.Names = []string{"x", "", "z"}
	}))
	if j.Call.Code.Ref == "" || j.Call.Code.Data != nil || j.Call.Code.Ref != j.Call.Args[1].Value.Ref || string(j.Call.Args[0].Value.Data) != "small" {
		t.Errorf("%+v", j.Call)
	}
	data, err := r.Bytes(within(t), j.Call.Code, 1<<20)
	if err != nil || string(data) != large {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	names, err := r.Names(within(t), j)
	if err != nil || !slices.Equal(names, []string{"x", "", "z"}) {
		t.Errorf("names %q, %v", names, err)
	}
	again := r.submit(ann, text("f", over(2000), func(s *Submission) {
		for i := range 2000 {
			s.Job.Over.Names = append(s.Job.Over.Names, fmt.Sprintf("name %030d", i+1))
		}
	}))
	names, err = r.Names(within(t), again)
	if err != nil || len(names) != 2000 || names[1999] != fmt.Sprintf("name %030d", 2000) || again.Over.Names != nil {
		t.Errorf("%d names, %v", len(names), err)
	}
}

// TestSubmitTwice: a key or an id stands for one job, of its owner.
func TestSubmitTwice(t *testing.T) {
	r := start(t, noChores)
	keyed := text("f", over(3), func(s *Submission) { s.Job.Key = "report of monday" })
	first := r.submit(ann, keyed)
	again, existing, err := r.Submit(within(t), ann, keyed)
	if err != nil || !existing || again.ID != first.ID {
		t.Errorf("%v, %v, %v", again, existing, err)
	}
	if other := r.submit(bob, keyed); other.ID == first.ID {
		t.Error("another owner's key is the same")
	}
	named := text("f", func(s *Submission) { s.Job.ID = newID() })
	first = r.submit(ann, named)
	again, existing, err = r.Submit(within(t), ann, named)
	if err != nil || !existing || again.ID != first.ID || first.ID != named.Job.ID {
		t.Errorf("%v, %v, %v", again, existing, err)
	}
	var wrong *InvalidError
	if _, _, err := r.Submit(within(t), bob, named); !errors.As(err, &wrong) || wrong.Field != "id" {
		t.Errorf("another owner's id: %v", err)
	}
}

// TestSubmitAtTheSameTime: of many submissions with a key one is the job.
func TestSubmitAtTheSameTime(t *testing.T) {
	r := start(t, noChores)
	ids := make(chan string, 20)
	for range cap(ids) {
		go func() {
			j, _, err := r.Submit(within(t), ann, text("f", over(2), func(s *Submission) { s.Job.Key = "k" }))
			if err != nil {
				t.Error(err)
				j = &tasks.Job{}
			}
			ids <- j.ID
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("jobs %s and %s", first, id)
		}
	}
	counts, err := r.Counts(within(t), ann, index.Filter{})
	if err != nil || counts[tasks.Pending] != 2 {
		t.Errorf("%v, %v", counts, err)
	}
}

// TestSubmitRefusesNonsense: what is wrong is named, with how to mend it.
func TestSubmitRefusesNonsense(t *testing.T) {
	r := start(t, noChores)
	f := func(field, message string, change func(*Submission)) {
		t.Helper()
		_, _, err := r.Submit(within(t), ann, text("f", change))
		var wrong *InvalidError
		if !errors.As(err, &wrong) || wrong.Field != field || !strings.Contains(wrong.Message, message) {
			t.Errorf("%v: want %s: … %s …", err, field, message)
		}
	}
	job := func(change func(*tasks.Job)) func(*Submission) { return func(s *Submission) { change(&s.Job) } }
	f("id", "make a ULID", job(func(j *tasks.Job) { j.ID = "7" }))
	f("name", "one line", job(func(j *tasks.Job) { j.Name = "a\nb" }))
	f("key", "of at most 256", job(func(j *tasks.Job) { j.Key = strings.Repeat("k", 257) }))
	f("labels", "one line", job(func(j *tasks.Job) { j.Labels = map[string]string{"": "x"} }))
	f("queue", "letters, digits", job(func(j *tasks.Job) { j.Queue = "a.b" }))
	f("lane", "from 0 to 3", job(func(j *tasks.Job) { j.Lane = 4 }))
	f("timeout", "not be negative", job(func(j *tasks.Job) { j.Timeout = -1 }))
	f("memory", "16 MiB", job(func(j *tasks.Job) { j.Memory = 1000 }))
	f("retry", "at most 1000", job(func(j *tasks.Job) { j.Retry.Errors = 1001 }))
	f("not_before", "ten years", job(func(j *tasks.Job) { j.NotBefore = time.Now().AddDate(11, 0, 0) }))
	f("call.kind", `"" is none of`, job(func(j *tasks.Job) { j.Call.Kind = "" }))
	f("call.code", "R source text", job(func(j *tasks.Job) { j.Call.Code = tasks.Value{} }))
	f("call.args[0]", "has no value", job(func(j *tasks.Job) { j.Call.Args = []tasks.Arg{{Name: "x"}} }))
	f("call.args[0]", "put it first", job(func(j *tasks.Job) {
		j.Call.Args = []tasks.Arg{{Value: tasks.Value{Ref: strings.Repeat("ab", 32)}}}
	}))
	f("call.args[1]", "two of name", job(func(j *tasks.Job) {
		v := tasks.Value{Data: []byte("1")}
		j.Call.Args = []tasks.Arg{{Name: "x", Value: v}, {Name: "x", Value: v}}
	}))
	f("call.packages[0]", "name of a package", job(func(j *tasks.Job) { j.Call.Packages = []string{"../x"} }))
	f("call.env", "make it first", job(func(j *tasks.Job) { j.Call.Env = "nightly" }))
	f("call.env", "must be a number", job(func(j *tasks.Job) { j.Call.Env = "nightly@x" }))
	f("depends_on", "no task or job", job(func(j *tasks.Job) { j.DependsOn = []string{newID() + ".1"} }))
	f("depends_on", "is not the id", job(func(j *tasks.Job) { j.DependsOn = []string{"x"} }))
	f("over", "nothing to run", func(s *Submission) { s.Array, s.Elements = true, [][]byte{} })
	f("over", "not an array job", func(s *Submission) { s.Elements = [][]byte{{1}} })
	f("over.names", "1 names for 2", func(s *Submission) {
		s.Array, s.Elements, s.Job.Over.Names = true, [][]byte{{1}, {2}}, []string{"a"}
	})
	f("over", "element 2: cut off", func(s *Submission) {
		s.Array = true
		s.Each = func(yield func([]byte, error) bool) { _ = yield([]byte("1"), nil) && yield(nil, errors.New("cut off")) }
	})
	counts, err := r.Counts(within(t), root, index.Filter{})
	if err != nil || len(counts) != 0 {
		t.Errorf("%v, %v: nothing was to be kept", counts, err)
	}
}
