package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLogs(t *testing.T) {
	b := open(t)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	add := func(n, from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := b.Log(ctx, "job", n, fmt.Appendf(nil, "line %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.FlushLog(ctx); err != nil {
			t.Fatal(err)
		}
	}
	read := func(n int, after uint64) (lines []string, last uint64) {
		t.Helper()
		err := b.ReadLog(ctx, "job", n, after, func(seq uint64, at time.Time, data []byte) error {
			if seq <= last || time.Since(at) > time.Minute {
				t.Errorf("%d at %s after %d", seq, at, last)
			}
			last = seq
			lines = append(lines, string(data))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return lines, last
	}
	add(1, 0, 10)
	add(2, 0, LogLines+30)
	lines, last := read(1, 0)
	if len(lines) != 10 || lines[0] != "line 0" || lines[9] != "line 9" {
		t.Errorf("log: %q", lines)
	}
	if lines, _ := read(2, 0); len(lines) != LogLines || lines[0] != "line 30" {
		t.Errorf("a long log has %d lines, the first one %q", len(lines), lines[0])
	}
	if lines, _ := read(1, last); len(lines) != 0 {
		t.Errorf("after the end: %q", lines)
	}
	add(1, 10, 12)
	if lines, _ := read(1, last); len(lines) != 2 || lines[0] != "line 10" {
		t.Errorf("after the old end: %q", lines)
	}
	n := 0
	err := b.FollowLog(ctx, "job", 1, last, func(_ uint64, _ time.Time, data []byte) error {
		if want := fmt.Sprintf("line %d", n+10); string(data) != want {
			t.Errorf("followed %q, want %q", data, want)
		}
		switch n++; n {
		case 2:
			return b.Log(ctx, "job", 1, []byte("line 12")) // comes while it is followed
		case 3:
			return errEnd
		}
		return nil
	})
	if !errors.Is(err, errEnd) || n != 3 {
		t.Errorf("followed %d lines, %v", n, err)
	}
	if err := b.Log(ctx, "job", 3, []byte(strings.Repeat("x", MaxLog+1))); err != nil {
		t.Fatal(err)
	}
	if err := b.FlushLog(ctx); err != nil {
		t.Fatal(err)
	}
	if lines, _ := read(3, 0); len(lines) != 1 || len(lines[0]) != MaxLog || !strings.HasSuffix(lines[0], "x …") {
		t.Errorf("a line that is too long: %d bytes", len(lines[0]))
	}
	if err := b.DropLogs(ctx, "job", 1); err != nil {
		t.Fatal(err)
	}
	one, _ := read(1, 0)
	two, _ := read(2, 0)
	if len(one) != 0 || len(two) != LogLines {
		t.Errorf("after a drop of the first: %d and %d lines", len(one), len(two))
	}
	if err := b.DropLogs(ctx, "job", 0); err != nil {
		t.Fatal(err)
	}
	if lines, _ := read(2, 0); len(lines) != 0 {
		t.Errorf("after a drop of all: %d lines", len(lines))
	}
}

func TestMessages(t *testing.T) {
	b := open(t)
	ctx := within(t)
	if _, err := b.Request(ctx, "rp.m.nobody", nil); !errors.Is(err, ErrNoResponder) {
		t.Errorf("a request to nobody: %v", err)
	}
	block := make(chan bool)
	stop, err := b.Serve("rp.m.x", func(data []byte) []byte {
		if string(data) == "slow" {
			<-block
		}
		return append(data, '!')
	})
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan string, 1)
	go func() {
		answer, err := b.Request(ctx, "rp.m.x", []byte("slow"))
		slow <- fmt.Sprint(string(answer), err)
	}()
	if answer, err := b.Request(ctx, "rp.m.x", []byte("fast")); err != nil || string(answer) != "fast!" {
		t.Errorf("beside a slow one: %q, %v", answer, err)
	}
	close(block)
	if got := <-slow; got != "slow!<nil>" {
		t.Error(got)
	}
	stop()
	if _, err := b.Request(ctx, "rp.m.x", nil); !errors.Is(err, ErrNoResponder) {
		t.Errorf("after stop: %v", err)
	}
	got := make(chan string, 1)
	stop, err = b.Subscribe("rp.x.*.state", func(subject string, data []byte) { got <- subject + " " + string(data) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := b.Publish("rp.x.7.state", []byte("up")); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "rp.x.7.state up" {
		t.Error(s)
	}
}
