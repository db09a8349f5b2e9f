package index

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// some puts jobs of three tasks into a stream.
func (s *stream) some(from, to int) {
	for n := from; n <= to; n++ {
		j := &tasks.Job{ID: jobID(n), Name: "fit", Owner: "anna", Created: began.Add(time.Duration(n) * time.Second), N: 3, Queue: "default"}
		s.job(j)
		for k := 1; k <= j.N; k++ {
			s.task(j.New(k))
		}
	}
}

// ids are those of all tasks, oldest first.
func (x *fed) ids() (ids []string) {
	x.t.Helper()
	rows, _, err := x.Tasks(context.Background(), Filter{Oldest: true, Limit: MaxLimit})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, r := range rows {
		ids = append(ids, r.ID())
	}
	return ids
}

func (x *fed) has(n int) {
	x.t.Helper()
	if ids := x.ids(); len(ids) != n || n > 0 && ids[0] != tasks.TaskID(jobID(1), 1) {
		x.t.Fatalf("the index has %d tasks, want %d: %v", len(ids), n, ids)
	}
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(time.Millisecond) { // until it is, or the test fails
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// A file that cannot be used is made anew, and says why while that lasts.
func TestMadeAnew(t *testing.T) {
	write := func(path string, at int64, b []byte) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(b, at)
		return errors.Join(err, f.Close())
	}
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	for name, spoil := range map[string]func(path string, s *stream) error{
		"lost":           func(path string, _ *stream) error { return os.Remove(path) },
		"empty":          func(path string, _ *stream) error { return os.Truncate(path, 0) },
		"cut off":        func(path string, _ *stream) error { return os.Truncate(path, 20_000) },
		"not a database": func(path string, _ *stream) error { return os.WriteFile(path, []byte("hello"), 0o600) },
		"damaged head":   func(path string, _ *stream) error { return write(path, 0, noise) },
		"damaged schema": func(path string, _ *stream) error { return write(path, 100, noise[:3000]) },
		"other version": func(path string, _ *stream) error {
			c, err := connect(dsn(path, false))
			if err != nil {
				return err
			}
			return errors.Join(c.run("PRAGMA user_version = 1"), c.close())
		},
		"system crashed": func(path string, _ *stream) error {
			c, err := connect(dsn(path, false))
			if err != nil {
				return err
			}
			return errors.Join(c.exec("UPDATE state SET boot = 'another'; DELETE FROM tasks"), c.close())
		},
		"other stream": func(_ string, s *stream) error { s.epoch = "second"; return nil },
		"shorter stream": func(_ string, s *stream) error {
			s.seq, s.records = 0, map[string]broker.Record{}
			s.some(1, 5)
			return nil
		},
		"long ago": func(path string, _ *stream) error {
			c, err := connect(dsn(path, false))
			if err != nil {
				return err
			}
			return errors.Join(c.exec("DELETE FROM tasks"), c.exec("UPDATE state SET seen = seen - ?", int64(broker.DeletionsKept)), c.close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, s := tempIndex(t), newStream()
			s.some(1, 400)
			x := feed(t, path, s)
			x.sync(s)
			x.has(1200)
			x.stop()
			if err := spoil(path, s); err != nil {
				t.Fatal(err)
			}
			gate := &gated{stream: s, open: make(chan struct{})}
			x = feed(t, path, gate)
			eventually(t, "rebuilding", func() bool { return x.Status().Rebuilding })
			if st := x.Status(); st.Why == "" || st.Since.IsZero() || st.Last == 0 {
				t.Errorf("while it is made anew: %+v", st)
			}
			if len(x.ids()) != 0 { // it can be read meanwhile
				t.Error("the spoilt file is still shown")
			}
			close(gate.open)
			x.sync(s)
			x.has(3 * len(jobsIn(s)))
			eventually(t, "made anew", func() bool { return !x.Status().Rebuilding })
		})
	}
}

func jobsIn(s *stream) (ids []string) {
	_ = s.Range(context.Background(), tasks.JobSubjects, func(r broker.Record) error { ids = append(ids, r.Subject); return nil })
	return ids
}

// gated is a stream that gives no tasks before it is opened.
type gated struct {
	*stream
	open chan struct{}
}

func (g *gated) Feed(ctx context.Context, from uint64, f func([]broker.Record) error) error {
	select {
	case <-g.open:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return g.stream.Feed(ctx, from, f)
}

// Pages that are damaged while the file is open are found by who reads them, or writes
// them, and the index is made anew.
func TestDamagedWhileOpen(t *testing.T) {
	path, s := tempIndex(t), newStream()
	s.some(1, 3000)
	x := feed(t, path, s)
	x.sync(s)
	x.mu.Lock()
	err := x.file.write.run("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
	x.file.read.SetMaxIdleConns(0) // they have pages in memory
	x.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(8192); at+4096 <= info.Size(); at += 4096 {
		if _, err := f.WriteAt([]byte(strings.Repeat("damage! ", 512)), at); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	_, _, err = x.Tasks(context.Background(), Filter{Limit: MaxLimit, Oldest: true})
	if err == nil {
		t.Fatal("a damaged file was read")
	}
	eventually(t, "made anew", func() bool {
		rows, _, err := x.Tasks(context.Background(), Filter{Limit: MaxLimit})
		return err == nil && len(rows) == 9000
	})
}

// A record that cannot be read changes nothing, and is counted.
func TestRecordsThatCannotBeRead(t *testing.T) {
	s := newStream()
	s.some(1, 1)
	s.raw(tasks.TaskSubject(jobID(1), 2), []byte("{"))
	s.raw(tasks.TaskSubject(jobID(1), 7), []byte(`{"job":"`+jobID(1)+`","n":7,"state":"PENDING"}`)) // the job has 3
	s.raw("rp.s.what", []byte(`{}`))
	s.raw("rp.j."+jobID(9), []byte(`{"id":"another"}`))
	s.raw(tasks.TaskSubject(jobID(1), 3), []byte(`{"job":"`+jobID(1)+`","n":3,"state":"LOST"}`))
	s.raw("rp.q.default", []byte(`{}`))
	x := feed(t, tempIndex(t), s)
	x.sync(s)
	x.has(1)
	if n := x.Status().Damaged; n != 5 {
		t.Errorf("%d damaged records, want 5", n)
	}
}

// Sync waits for what is not read yet, and ends with its context.
func TestSync(t *testing.T) {
	s := newStream()
	s.some(1, 1)
	gate := &gated{stream: s, open: make(chan struct{})}
	x := feed(t, tempIndex(t), gate)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for seq := range uint64(5) {
		all.Go(func() {
			if err := x.Sync(context.Background(), seq); err != nil {
				t.Error(err)
			}
		})
	}
	late := make(chan error)
	go func() { late <- x.Sync(ctx, 99) }()
	close(gate.open)
	all.Wait()
	cancel()
	if err := <-late; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "change 99") {
		t.Errorf("%v", err)
	}
	x.has(3)
}

// What was last written may not be there any more: Sync does not wait for it.
func TestSyncOfWhatIsGone(t *testing.T) {
	s := newStream()
	s.some(1, 1)
	s.seq += 5 // deletions, which the stream has forgotten
	x := feed(t, tempIndex(t), s)
	x.sync(s)
	x.has(3)
	x.stop()
	x = feed(t, x.path, s)
	x.sync(s)
	eventually(t, "made anew", func() bool { return !x.Status().Rebuilding })
}

// Readers see whole transactions while the index is fed, whatever they ask.
func TestReadersWhileFed(t *testing.T) {
	s := newStream()
	x := feed(t, tempIndex(t), s)
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				rows, _, err := x.Tasks(ctx, Filter{Name: "fit", Limit: 50})
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range rows {
					if r.Job == "" || r.Owner != "anna" || r.Queue != "default" || r.State == "" {
						t.Errorf("half a row: %+v", r)
					}
				}
				// Counters and rows are of one state.
				jobs, _, err := x.Jobs(ctx, Filter{Limit: 5})
				for _, j := range jobs {
					if n := j.Counts[tasks.Pending] + j.Counts[tasks.Cancelled]; n > 3 {
						t.Errorf("%d tasks of 3: %+v", n, j)
					}
				}
				if ctx.Err() == nil && err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range 100 {
		s.some(n+1, n+1)
		if n > 0 {
			j := &tasks.Job{ID: jobID(n), Name: "fit", Owner: "anna", N: 3, Queue: "default"}
			c := j.New(1)
			_ = c.Cancel("anna", began)
			s.task(c)
		}
	}
	x.sync(s)
	cancel()
	readers.Wait()
	x.has(300)
	counts, err := x.Counts(context.Background(), Filter{})
	if err != nil || counts[tasks.Cancelled] != 99 || counts[tasks.Pending] != 201 {
		t.Errorf("%v, %v", counts, err)
	}
}

func TestCursors(t *testing.T) {
	s := newStream()
	s.some(1, 4)
	path := tempIndex(t)
	x := feed(t, path, s)
	x.sync(s)
	ctx := context.Background()
	for _, wrong := range []string{"x", "1-2", "a-b-c"} {
		if _, _, err := x.Tasks(ctx, Filter{After: wrong}); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	_, next, err := x.Tasks(ctx, Filter{Limit: 5, Oldest: true})
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	x.stop()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	// The page goes on in an index that was made anew.
	x = feed(t, path, s)
	x.sync(s)
	rows, _, err := x.Tasks(ctx, Filter{Limit: 5, Oldest: true, After: next})
	if err != nil || len(rows) != 5 || rows[0].ID() != tasks.TaskID(jobID(2), 3) {
		t.Fatalf("%v %v", rows, err)
	}
	x.stop()
	if _, _, err := x.Tasks(ctx, Filter{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, _, err := x.Tasks(ctx, Filter{States: []tasks.State{"LOST"}}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestDeletionOverTwoRuns: an index that ends while a job is deleted goes on with the tasks
// that are left, and then knows no job without a record.
func TestDeletionOverTwoRuns(t *testing.T) {
	path, s := tempIndex(t), newStream()
	j := &tasks.Job{ID: jobID(1), Owner: "anna", Created: began, N: 3, Queue: "default"}
	s.job(j)
	for n := 1; n <= j.N; n++ {
		s.task(j.New(n))
	}
	deleted := *j
	deleted.Deleted = true
	s.job(&deleted)
	x := feed(t, path, s)
	x.sync(s)
	s.drop(j.New(1))
	x.sync(s)
	x.stop()
	x = feed(t, path, s)
	s.drop(j.New(2))
	s.drop(j.New(3))
	s.put(tasks.JobSubject(j.ID), nil)
	x.sync(s)
	if rows, _, err := x.Incomplete(context.Background(), began.Add(time.Hour), "", 10); err != nil || len(rows) > 0 {
		t.Errorf("after its deletion: %+v, %v", rows, err)
	}
}

// TestAnotherJobOfTheSameID: who deletes a job and submits a larger one with its id, or key,
// may do so before the index has heard of either.
func TestAnotherJobOfTheSameID(t *testing.T) {
	f := func(stopped bool) {
		t.Helper()
		path, s := tempIndex(t), newStream()
		j := &tasks.Job{ID: jobID(1), Name: "fit", Owner: "anna", Created: began, N: 2, Queue: "default"}
		s.job(j)
		failed := j.New(1)
		failed.State, failed.Started, failed.Ended, failed.Failure = tasks.Error, began, began, &tasks.Failure{Message: "singular"}
		s.task(failed)
		s.task(j.New(2))
		s.some(2, 2)
		x := feed(t, path, s)
		x.sync(s)
		if stopped { // what follows comes at once
			x.stop()
		}
		s.drop(failed)
		next := *j
		next.Name, next.N, next.Created = "again", 5, began.Add(time.Minute)
		s.job(&next)
		for n := 1; n <= next.N; n++ {
			s.task(next.New(n))
		}
		if stopped {
			x = feed(t, path, s)
		}
		x.sync(s)
		row, ok, err := x.Job(context.Background(), j.ID)
		if err != nil || !ok || row.N != 5 || len(row.Counts) != 1 || row.Counts[tasks.Pending] != 5 || !row.Started.IsZero() {
			t.Errorf("%+v, %v, %v", row, ok, err)
		}
		if ids := x.ids(); len(ids) != 8 || ids[7] != tasks.TaskID(j.ID, 5) {
			t.Errorf("tasks in their order: %v", ids)
		}
		for text, want := range map[string]int{"again": 5, "fit": 3, "singular": 0} {
			if counts, err := x.Counts(context.Background(), Filter{Text: text}); err != nil || counts[tasks.Pending] != int64(want) || counts[tasks.Error] != 0 {
				t.Errorf("%s: %v, %v", text, counts, err)
			}
		}
	}
	f(true)
	f(false)
}

// TestASmallerJobOfTheSameID has no place for some of the tasks of the one before, which are
// gone all the same, and are no damage.
func TestASmallerJobOfTheSameID(t *testing.T) {
	f := func(seen bool) {
		t.Helper()
		path, s := tempIndex(t), newStream()
		j := &tasks.Job{ID: jobID(1), Owner: "anna", Created: began, N: 5, Queue: "default"}
		s.job(j)
		for n := 1; n <= j.N; n++ {
			s.task(j.New(n))
		}
		if seen {
			x := feed(t, path, s)
			x.sync(s)
			x.stop()
		}
		for n := 1; n <= j.N; n++ {
			s.drop(j.New(n))
		}
		next := *j
		next.N, next.Created = 2, began.Add(time.Minute)
		s.job(&next)
		for n := 1; n <= next.N; n++ {
			s.task(next.New(n))
		}
		s.some(2, 4)
		x := feed(t, path, s)
		x.sync(s)
		if ids := x.ids(); len(ids) != 11 {
			t.Errorf("tasks in their order: %v", ids)
		}
		row, _, err := x.Job(context.Background(), j.ID)
		if err != nil || row.N != 2 || row.Counts[tasks.Pending] != 2 {
			t.Errorf("%+v, %v", row, err)
		}
		if n := x.Status().Damaged; n != 0 {
			t.Errorf("%d records count as damaged", n)
		}
	}
	f(true)
	f(false)
}
