package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

func TestPutHoldsItsCondition(t *testing.T) {
	for _, s := range servers(t) {
		c := s.Client(t)
		l := store.Location{Bucket: s.Bucket(t), Key: "lock.json"}
		f := func(data string, when store.Condition) (string, error) {
			return c.Put(t.Context(), l, []byte(data), when)
		}
		if _, err := f("0", store.Condition{IfMatch: `"0123456789abcdef0123456789abcdef"`}); !errors.Is(err, store.ErrConflict) || !errors.Is(err, store.ErrNotExist) {
			t.Errorf("if match, of what is not there: %v", err)
		}
		first, err := f("1", store.Condition{IfNoneMatch: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f("2", store.Condition{IfNoneMatch: true}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("if none match, where something is: %v", err)
		}
		second, err := f("3", store.Condition{IfMatch: first})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f("4", store.Condition{IfMatch: first}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("if match, with an old tag: %v", err)
		}
		data, o, err := c.Get(t.Context(), l, 100)
		if err != nil || string(data) != "3" || o.ETag != second || o.Size != 1 {
			t.Errorf("%q %+v %v, want tag %s", data, o, err, second)
		}
		if found, err := c.Stat(t.Context(), l); err != nil || found != o {
			t.Errorf("Stat says %+v, Get %+v, %v", found, o, err)
		}
		for found, err := range c.List(t.Context(), l) {
			if err != nil || found.ETag != o.ETag || found.Size != o.Size {
				t.Errorf("List says %+v, Get %+v, %v", found, o, err)
			}
		}
	}
}

func TestOfTwentyPutsOfANewObjectOneWins(t *testing.T) {
	for _, s := range servers(t) {
		l := store.Location{Bucket: s.Bucket(t), Key: "lock.json"}
		winners := race(t, s, l, store.Condition{IfNoneMatch: true})
		if len(winners) != 1 {
			t.Fatalf("%d of 20 won: %v", len(winners), winners)
		}
		c := s.Client(t)
		data, o, err := c.Get(t.Context(), l, 1000)
		if err != nil || string(data) != winners[0] {
			t.Fatalf("the object is %q, the winner %q, %v", data, winners[0], err)
		}
		if winners := race(t, s, l, store.Condition{IfMatch: o.ETag}); len(winners) != 1 {
			t.Fatalf("%d of 20 replaced it: %v", len(winners), winners)
		}
	}
}

// race lets 20 clients put at once and returns what the successful ones wrote.
func race(t *testing.T, s *s3test.Server, l store.Location, when store.Condition) (winners []string) {
	t.Helper()
	type result struct {
		data string
		err  error
	}
	results := make(chan result)
	ready := make(chan struct{})
	for i := range 20 {
		c := s.Client(t)
		go func() {
			data := fmt.Sprint("writer ", i, " where ", when) // the same content has the same tag
			<-ready
			_, err := c.Put(t.Context(), l, []byte(data), when)
			results <- result{data, err}
		}()
	}
	close(ready)
	for range 20 {
		switch r := <-results; {
		case r.err == nil:
			winners = append(winners, r.data)
		case !errors.Is(r.err, store.ErrConflict):
			t.Error(r.err)
		}
	}
	return winners
}

func TestALostAnswerToAPutIsNoConflict(t *testing.T) {
	for _, s := range servers(t) {
		l := store.Location{Bucket: s.Bucket(t), Key: "k"}
		isPut := func(r *http.Request) bool { return r.Method == http.MethodPut }
		first, err := hurried(t, losing(s, t, isPut)).Put(t.Context(), l, []byte("a"), store.Condition{IfNoneMatch: true})
		if err != nil {
			t.Fatal(err)
		}
		second, err := hurried(t, losing(s, t, isPut)).Put(t.Context(), l, []byte("b"), store.Condition{IfMatch: first})
		if err != nil {
			t.Fatal(err)
		}
		// The old tag, though: the attempt that was lost had been refused.
		if _, err := hurried(t, losing(s, t, isPut)).Put(t.Context(), l, []byte("c"), store.Condition{IfMatch: first}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("with an old tag: %v", err)
		}
		o, err := s.Client(t).Stat(t.Context(), l)
		if err != nil || o.ETag != second {
			t.Errorf("%+v, want tag %s, %v", o, second, err)
		}
	}
}

func TestFailuresThatPassAreTriedAgain(t *testing.T) {
	s := s3test.Start(t)
	slowDown := `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`
	for name, fail := range map[string]func(w http.ResponseWriter){
		"503": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte(slowDown))
		},
		"500": func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"429": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"cut": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"half": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(slowDown[:40]))
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			failed := map[string]int{}
			c := hurried(t, s.Front(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				key := r.Method + r.URL.String()
				mu.Lock()
				failed[key]++
				times := failed[key]
				mu.Unlock()
				if times <= 4 {
					fail(w)
					return
				}
				next.ServeHTTP(w, r)
			}))
			l := store.Location{Bucket: s.Bucket(t), Key: "k"}
			up := store.Location{Bucket: l.Bucket, Key: "up"}
			put(t, c, l, []byte("x"))
			get(t, c, l)
			p := upload(t, c, up, []byte("data"))
			if err := c.Complete(t.Context(), up, p, 4, false); err != nil {
				t.Error(err)
			}
			for _, err := range c.List(t.Context(), l) {
				if err != nil {
					t.Error(err)
				}
			}
			if err := c.Delete(t.Context(), l, up); err != nil {
				t.Error(err)
			}
		})
	}
}
