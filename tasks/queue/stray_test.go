package queue

import (
	"slices"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// TestDeletedWhileSubmitted: of a job that is deleted before all of its tasks are
// written, none stays.
func TestDeletedWhileSubmitted(t *testing.T) {
	r := start(t, noChores)
	s := text("a", over(1500), in("q"))
	j, err := r.check(within(t), ann, s)
	if err != nil {
		t.Fatal(err)
	}
	deleted := false
	_, _, err = r.keep(within(t), withN(j, 1500), func(n int) *tasks.Task {
		if n == 1200 && !deleted { // the first part is written
			deleted = true
			if out, err := r.Delete(within(t), ann, []string{j.ID}); err != nil || out[0].Err != nil {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		return j.New(n)
	})
	if err != nil || !deleted {
		t.Fatalf("deleted %v: %v", deleted, err)
	}
	for _, n := range []int{1, 1100, 1200, 1500} {
		if got := r.task(tasks.TaskID(j.ID, n)); got.State != tasks.Missing {
			t.Errorf("%d: %+v", n, got)
		}
	}
}

func withN(j *tasks.Job, n int) *tasks.Job {
	j.N = n
	return j
}

// TestStrays: tasks without a job are found and deleted.
func TestStrays(t *testing.T) {
	r := start(t, noChores)
	j := r.submit(ann, text("a", over(30), in("q")))
	if err := r.erase(within(t), tasks.JobSubject(j.ID)); err != nil {
		t.Fatal(err)
	}
	r.leads(func(l *leader) error { return l.incomplete(within(t), true) })
	if got := r.task(j.ID + ".30"); got.State != tasks.Missing {
		t.Errorf("%+v", got)
	}
}

// TestKeyOfDeletedJob: a submission that takes over the id of a job which is just being
// deleted keeps its key, so that the next one with it is the same job.
func TestKeyOfDeletedJob(t *testing.T) {
	r := start(t, noChores)
	keyed := func() *Submission { return text("a", in("q"), func(s *Submission) { s.Job.Key = "k" }) }
	first := r.submit(ann, keyed())
	subject := tasks.KeySubject("ann", "k")
	key, err := r.b.Get(within(t), subject)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Delete(within(t), ann, []string{first.ID}); err != nil {
		t.Fatal(err)
	}
	// As it was between the writes of that deletion.
	if _, err := r.write(within(t), broker.Write{Subject: subject, Data: key.Data, Any: true}); err != nil {
		t.Fatal(err)
	}
	f := func(meanwhile func()) string {
		t.Helper()
		s := keyed()
		j, err := r.check(within(t), ann, s)
		if err != nil {
			t.Fatal(err)
		}
		if known, err := r.known(within(t), ann, s, j); known != nil || err != nil || j.ID != first.ID {
			t.Fatalf("%+v, %v", known, err)
		}
		meanwhile()
		kept, _, err := r.keepNew(within(t), ann, s, j)
		if err == nil {
			kept, _, err = r.keepKey(within(t), kept)
		}
		if err != nil {
			t.Fatal(err)
		}
		return kept.ID
	}
	goes := func() {
		if err := r.erase(within(t), subject); err != nil {
			t.Fatal(err)
		}
	}
	id := f(goes)
	again, existing, err := r.Submit(within(t), ann, keyed())
	if err != nil || !existing || again.ID != id {
		t.Errorf("%+v, existing %v, %v: want job %s", again, existing, err, id)
	}
	// The rest of the deletion does not take the new job.
	if err := r.removeJobs(within(t), []*tasks.Job{{ID: first.ID, Deleted: true}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Job(within(t), ann, id); err != nil {
		t.Error(err)
	}
	// Another submission was quicker: it is the one job of this key.
	if _, err := r.Delete(within(t), ann, []string{id}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.write(within(t), broker.Write{Subject: subject, Data: key.Data, Any: true}); err != nil {
		t.Fatal(err)
	}
	var other *tasks.Job
	id = f(func() {
		goes()
		other = r.submit(ann, keyed())
	})
	if id != other.ID {
		t.Errorf("there are two jobs of one key, %s and %s", id, other.ID)
	}
	rows, _, err := r.Jobs(within(t), ann, index.Filter{})
	if err != nil || len(rows) != 1 {
		t.Errorf("%d jobs, %v", len(rows), err)
	}
	if slices.ContainsFunc(rows, func(j index.JobRow) bool { return j.ID == first.ID }) {
		t.Error("the job that lost is still there")
	}
}

// TestMessagesAreRecalled: a sweep that sent messages by what it had read finds those that
// were taken back meanwhile.
func TestMessagesAreRecalled(t *testing.T) {
	r := start(t, noChores)
	j := r.submit(ann, text("a", over(5)))
	var sent []*tasks.Task
	for n := 1; n <= j.N; n++ {
		sent = append(sent, r.task(tasks.TaskID(j.ID, n)))
	}
	held, moved := r.task(sent[1].ID()), r.task(sent[2].ID())
	held.Held, moved.Queue = true, "other"
	r.put(held)
	r.put(moved)
	if _, err := r.Cancel(within(t), ann, []string{sent[3].ID()}); err != nil {
		t.Fatal(err)
	}
	if err := r.push(within(t), sent[3:4]); err != nil { // after Cancel has taken it back
		t.Fatal(err)
	}
	r.queued(tasks.DefaultQueue, 5)
	f := index.Filter{States: []tasks.State{tasks.Pending}, Limit: 10, Oldest: true}
	r.leads(func(l *leader) error { return l.recall(within(t), f, sent) })
	r.queued(tasks.DefaultQueue, 2)
}
