package index

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// stream is a stream of records as the broker keeps it: the last of each subject, with
// deletions.
type stream struct {
	mu      sync.Mutex
	epoch   string
	records map[string]broker.Record
	seq     uint64
	more    chan struct{} // closed when there is more
	size    int           // records that Feed gives at most at a time; 0 is 500
}

func newStream() *stream {
	return &stream{epoch: "first", records: map[string]broker.Record{}, more: make(chan struct{})}
}

var began = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// put writes a record; nil deletes it.
func (s *stream) put(subject string, v any) uint64 {
	var data []byte
	if v != nil {
		data, _ = json.Marshal(v)
	}
	return s.raw(subject, data)
}

func (s *stream) raw(subject string, data []byte) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	s.records[subject] = broker.Record{Subject: subject, Data: data, Seq: s.seq, Time: began.Add(time.Duration(s.seq) * time.Millisecond)}
	close(s.more)
	s.more = make(chan struct{})
	return s.seq
}

func (s *stream) job(j *tasks.Job) uint64   { return s.put(tasks.JobSubject(j.ID), j) }
func (s *stream) task(t *tasks.Task) uint64 { return s.put(tasks.TaskSubject(t.Job, t.N), t) }
func (s *stream) drop(t *tasks.Task) uint64 { return s.put(tasks.TaskSubject(t.Job, t.N), nil) }

// after are the records after a number, in order, and what says that there are more.
func (s *stream) after(from uint64) ([]broker.Record, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rs []broker.Record
	for _, r := range s.records {
		if r.Seq > from {
			rs = append(rs, r)
		}
	}
	slices.SortFunc(rs, func(a, b broker.Record) int { return int(a.Seq) - int(b.Seq) })
	return rs, s.more
}

func (s *stream) Feed(ctx context.Context, from uint64, f func([]broker.Record) error) error {
	size := s.size
	if size == 0 {
		size = 500
	}
	for told := false; ; {
		rs, more := s.after(from)
		if len(rs) == 0 && !told {
			told = true
			if err := f(nil); err != nil {
				return err
			}
		}
		for part := range slices.Chunk(rs, size) {
			if err := f(part); err != nil {
				return err
			}
			from = part[len(part)-1].Seq
		}
		if len(rs) > 0 {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *stream) Range(_ context.Context, filter string, f func(broker.Record) error) error {
	rs, _ := s.after(0)
	for _, r := range rs {
		if r.Data != nil && strings.HasPrefix(r.Subject, strings.TrimSuffix(filter, ">")) {
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stream) LastSeq(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq, nil
}

func (s *stream) Epoch(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, nil
}

// fed is an index with what feeds it.
type fed struct {
	*Index
	t    *testing.T
	stop func()
}

// feed opens the index at path and feeds it from s.
func feed(t *testing.T, path string, s Source) *fed {
	t.Helper()
	x, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx, s) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &fed{x, t, stop}
}

// sync waits until the index has all of the stream.
func (x *fed) sync(s *stream) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	last, _ := s.LastSeq(ctx)
	if err := x.Sync(ctx, last); err != nil {
		x.t.Fatal(err)
	}
}

func tempIndex(t *testing.T) string { return filepath.Join(t.TempDir(), "index.db") }

// jobID is a made-up id, ascending with n.
func jobID(n int) string { return fmt.Sprintf("01jd3x7v9qk2m4n6p8%08d", n) }

// ref is the name of a blob.
func ref(n int) string { return fmt.Sprintf("%064x", n) }
