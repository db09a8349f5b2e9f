package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// modes are the ways in which Write stores: by batches, and one by one.
func modes(t *testing.T, f func(t *testing.T, b *Broker)) {
	t.Run("always", func(t *testing.T) { f(t, open(t)) })
	t.Run("interval", func(t *testing.T) { f(t, open(t, interval)) })
}

func TestWriteIsOnCondition(t *testing.T) {
	modes(t, func(t *testing.T, b *Broker) {
		ctx := within(t)
		steps := []struct {
			name string
			w    Write // Expect -1 (as ^0) stands for the last revision
			want error
			data string // afterwards; "" is none
		}{
			{"there must be none", Write{Data: []byte("a")}, nil, "a"},
			{"there is one", Write{Data: []byte("b")}, ErrConflict, "a"},
			{"at its revision", Write{Data: []byte("b"), Expect: ^uint64(0)}, nil, "b"},
			{"at an old revision", Write{Data: []byte("c"), Expect: 1}, ErrConflict, "b"},
			{"any", Write{Data: []byte("d"), Any: true}, nil, "d"},
			{"delete at an old revision", Write{Delete: true, Expect: 1}, ErrConflict, "d"},
			{"delete", Write{Delete: true, Expect: ^uint64(0)}, nil, ""},
			{"change the deleted one", Write{Data: []byte("e"), Expect: ^uint64(0)}, nil, "e"},
			{"delete any", Write{Delete: true, Any: true}, nil, ""},
			{"anew", Write{Data: []byte("f")}, nil, "f"},
		}
		last := uint64(0)
		for _, s := range steps {
			w := s.w
			w.Subject = "rp.s.job.1"
			if w.Expect == ^uint64(0) {
				w.Expect = last
			}
			seq, err := b.Write(ctx, w)
			if !errors.Is(err, s.want) {
				t.Fatalf("%s: error %v, want %v", s.name, err, s.want)
			}
			if err == nil {
				last = seq
			}
			r, err := b.Get(ctx, w.Subject)
			if s.data == "" {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: get: %q, %v, want that it is not found", s.name, r.Data, err)
				}
				continue
			}
			if err != nil || string(r.Data) != s.data || r.Seq != last || time.Since(r.Time) > time.Minute {
				t.Errorf("%s: get: %+v, %v, want %q at %d", s.name, r, err, s.data, last)
			}
		}
	})
}

func TestWriteAllAnswersEach(t *testing.T) {
	modes(t, func(t *testing.T, b *Broker) {
		ctx := within(t)
		if _, err := b.Write(ctx, Write{Subject: "rp.s.job.7", Data: []byte("old")}); err != nil {
			t.Fatal(err)
		}
		gone, err := b.Write(ctx, Write{Subject: "rp.s.job.8", Data: []byte("old")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write(ctx, Write{Subject: "rp.s.job.8", Expect: gone, Delete: true}); err != nil {
			t.Fatal(err)
		}
		ws := make([]Write, 1200)
		for i := range ws {
			ws[i] = Write{Subject: fmt.Sprintf("rp.s.job.%d", i+1), Data: []byte(strconv.Itoa(i + 1))}
		}
		ws = append(ws, Write{Subject: "rp.s.job.20", Data: []byte("twice")}, Write{Subject: "rp.s.job.30", Data: []byte("twice"), Any: true})
		seqs, errs := b.WriteAll(ctx, ws)
		for i, err := range errs {
			want := error(nil)
			if n := i + 1; n == 7 || n == 1201 {
				want = ErrConflict
			}
			if !errors.Is(err, want) {
				t.Errorf("write %d: %v, want %v", i+1, err, want)
			}
		}
		subjects := make([]string, 0, len(ws))
		for i := range 1200 {
			subjects = append(subjects, ws[i].Subject)
		}
		subjects = append(subjects, "rp.s.job.none")
		rs, err := b.GetAll(ctx, subjects)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rs[:1200] {
			want, seq := strconv.Itoa(i+1), seqs[i]
			switch i + 1 {
			case 7:
				want, seq = "old", 1
			case 30:
				want, seq = "twice", seqs[1201]
			}
			if string(r.Data) != want || r.Seq != seq || r.Subject != subjects[i] {
				t.Errorf("record %d: %q at %d, want %q at %d", i+1, r.Data, r.Seq, want, seq)
			}
		}
		if r := rs[1200]; r.Seq != 0 || r.Data != nil {
			t.Errorf("a record that is not there: %+v", r)
		}
	})
}

// TestEachWriteOnce: many change the same few records at the same time; each change that
// was acknowledged is in them once, and no other.
func TestEachWriteOnce(t *testing.T) {
	modes(t, func(t *testing.T, b *Broker) {
		ctx := within(t)
		const records, writers, each = 5, 8, 40
		var wins, losses atomic.Int64
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := 0; i < each; {
					subject := fmt.Sprintf("rp.s.storm.%d", (w+i)%records)
					r, err := b.Get(ctx, subject)
					if err != nil && !errors.Is(err, ErrNotFound) {
						t.Error(err)
						return
					}
					n, _ := strconv.Atoi(string(r.Data))
					switch _, err := b.Write(ctx, Write{Subject: subject, Data: []byte(strconv.Itoa(n + 1)), Expect: r.Seq}); {
					case err == nil:
						wins.Add(1)
						i++
					case errors.Is(err, ErrConflict):
						losses.Add(1)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		sum := 0
		err := b.Range(ctx, "rp.s.storm.*", func(r Record) error {
			n, err := strconv.Atoi(string(r.Data))
			sum += n
			return err
		})
		if err != nil || sum != writers*each || wins.Load() != writers*each {
			t.Errorf("the records count %d writes, %d were acknowledged, want %d (%v)", sum, wins.Load(), writers*each, err)
		}
		if losses.Load() == 0 {
			t.Log("no writer ever lost: the test has shown little")
		}
	})
}

func TestRecordsExpire(t *testing.T) {
	b := open(t)
	ctx := within(t)
	first, err := b.Write(ctx, Write{Subject: "rp.s.ttl.1", Data: []byte("x"), TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var got []Record
	err = b.Feed(ctx, 0, func(rs []Record) error {
		got = append(got, rs...)
		if len(got) == 2 {
			return errEnd
		}
		return nil
	})
	if !errors.Is(err, errEnd) || len(got) != 2 || got[0].Seq != first || string(got[0].Data) != "x" ||
		got[1].Subject != "rp.s.ttl.1" || got[1].Data != nil || got[1].Seq <= first {
		t.Fatalf("feed: %+v, %v; want the record, and that it is no more", got, err)
	}
	if _, err := b.Get(ctx, "rp.s.ttl.1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get of an expired record: %v", err)
	}
	if _, err := b.Write(ctx, Write{Subject: "rp.s.ttl.1", Data: []byte("y")}); err != nil {
		t.Errorf("write in its place: %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	b := open(t)
	ctx := within(t)
	if _, err := b.Write(ctx, Write{Subject: "rp.s.big.1", Data: make([]byte, maxPayload+1)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record of more than %d bytes: %v", maxPayload, err)
	}
	ws := []Write{{Subject: "rp.s.big.1", Data: make([]byte, maxPayload+1)}}
	for i := range 20 {
		ws = append(ws, Write{Subject: fmt.Sprintf("rp.s.fine.%d", i+1), Data: []byte("x")})
	}
	_, errs := b.WriteAll(ctx, ws)
	for i, err := range errs {
		if want := error(nil); i == 0 && !errors.Is(err, ErrTooLarge) || i > 0 && err != want {
			t.Errorf("write %d beside one that is too large: %v", i, err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := b.Write(ctx, Write{Subject: "rp.s.fine.30", Data: []byte("x")}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	b.Close()
	if _, err := b.Write(within(t), Write{Subject: "rp.s.fine.31", Data: []byte("x")}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := b.Get(within(t), "rp.s.fine.1"); !errors.Is(err, ErrClosed) {
		t.Errorf("get after Close: %v", err)
	}
}

// TestSmallWritesDoNotWait: who writes one record is not kept waiting by who writes very
// many.
func TestSmallWritesDoNotWait(t *testing.T) {
	b := open(t)
	ctx := within(t)
	ws := make([]Write, 30000)
	for i := range ws {
		ws[i] = Write{Subject: fmt.Sprintf("rp.s.bulk.%d", i+1), Data: make([]byte, 200)}
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		_, errs := b.WriteAll(ctx, ws)
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	for busy := true; busy; n++ {
		if _, err := b.Write(ctx, Write{Subject: "rp.q.small", Data: []byte("x"), Any: true}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			busy = false
		default:
		}
	}
	if n < 10 { // of 75 batches at the least
		t.Errorf("%d small writes during a large one", n)
	}
}
