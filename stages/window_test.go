//go:build cgo

package stages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// stream feeds a windowed aggregate by hand.
type stream struct {
	t      *testing.T
	ledger *Ledger
	in     chan *Rows
	out    chan *Rows
	done   chan error
	ended  bool
	env    *Env
	reads  int
	first  int64

	mu       sync.Mutex
	rejected []*Rejected
}

func newStream(t *testing.T, c *Aggregate, memory int64) *stream {
	s := &stream{t: t, ledger: NewLedger(0, FinalEpoch), in: make(chan *Rows), out: make(chan *Rows, 1000), done: make(chan error, 1)}
	s.env = (&Env{Endless: true, Memory: memory, Temp: t.TempDir() + "/run", Log: slog.New(slog.DiscardHandler),
		Ended: func() bool { return s.ended },
		Reject: func(_ context.Context, r *Rejected) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.rejected = append(s.rejected, r)
			r.Batch.Settle(nil)
			return nil
		}}).For("windows")
	if c.Window.MaxWindows == 0 {
		c.Window.MaxWindows = 10_000
	}
	c.Window.Start, c.Window.End = "start", "end"
	stage, err := c.Build(s.env)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		err := stage(t.Context(), s.in, s.out)
		close(s.out)
		s.done <- err
	}()
	return s
}

// send gives a read of its own to each frame, and returns when the stage asks
// for more.
func (s *stream) send(frames ...frame.Frame) {
	s.t.Helper()
	for _, f := range frames {
		s.reads++
		o, err := s.ledger.Open(s.t.Context(), fmt.Sprint(s.reads), f.NumRows(), frame.Bytes(f))
		if err != nil {
			s.t.Fatal(err)
		}
		b := &Rows{Value: f, Rows: int(f.NumRows()), Bytes: frame.Bytes(f), First: s.first, Origins: []*Origin{o}}
		s.first += f.NumRows()
		select {
		case s.in <- b:
		case err := <-s.done:
			s.t.Fatalf("the stage has ended: %v", err)
		}
	}
	select { // an empty batch is taken once the others are done with
	case s.in <- &Rows{Value: frame.Slice(frames[0], 0, 0)}:
	case err := <-s.done:
		s.done <- err
	}
}

// got is what has come out since the last call, settled.
func (s *stream) got() (rows []string) {
	for {
		select {
		case b, ok := <-s.out:
			if !ok {
				return rows
			}
			rows = append(rows, shown(b.Value)...)
			b.Settle(nil)
		default:
			return rows
		}
	}
}

// end ends the input, for good or by a drain.
func (s *stream) end(forGood bool) error {
	s.ended = forGood
	close(s.in)
	err := <-s.done
	s.env.Close()
	return err
}

// seconds are rows of a time in seconds and a name.
func seconds(t testing.TB, rows ...string) frame.Frame {
	t.Helper()
	for i, r := range rows {
		at, rest, _ := strings.Cut(r, " ")
		if at != "." {
			at += "e6"
		}
		rows[i] = at + " " + rest
	}
	return tableOf(t, []string{"at timestamp", "who string"}, rows...)
}

// spans shortens the times of the results.
func spans(rows []string) []string {
	for i, r := range rows {
		r = strings.ReplaceAll(r, "1970-01-01T00:", "")
		rows[i] = strings.ReplaceAll(r, "1970-01-01 00:", "")
	}
	return rows
}

func counts(every, lateness time.Duration) *Aggregate {
	return &Aggregate{By: columnsOf("who"), Measures: sqlPairs("n", "count(*)"),
		Window: &Window{Time: "at", Every: configs.Duration(every), Lateness: configs.Duration(lateness)}}
}

func (s *stream) expect(want ...string) {
	s.t.Helper()
	if got := spans(s.got()); !slices.Equal(got, want) {
		s.t.Errorf("%q\nwant %q", got, want)
	}
}

func (s *stream) frontier(pos string, open int) {
	s.t.Helper()
	if at, n := s.ledger.Frontier(); at != pos || n != open {
		s.t.Errorf("the frontier is %q with %d reads open, want %q with %d", at, n, pos, open)
	}
}

// A window is sent once the largest time less the lateness has reached its end,
// and the reads of its rows are settled with it.
func TestWindowsCloseInOrder(t *testing.T) {
	s := newStream(t, counts(10*time.Second, 5*time.Second), 0)
	s.send(seconds(t, "1 a", "12 b", "3 a"))
	s.expect()
	s.send(seconds(t, "14 b", "9 c"))
	s.expect()
	s.frontier("", 2)
	s.send(seconds(t, "15 a")) // 15 - 5 is the end of the first
	s.expect("00:00 00:10 a 2", "00:00 00:10 c 1")
	s.frontier("", 3)
	s.send(seconds(t, "33 d", "44 a"))
	s.expect("00:10 00:20 a 1", "00:10 00:20 b 2")
	s.frontier("3", 1)
	if err := s.end(true); err != nil {
		t.Error(err)
	}
	s.expect("00:30 00:40 d 1", "00:40 00:50 a 1")
	s.frontier("4", 0)
}

// A row is late by the rows before it, whatever batches they came in.
func TestLateRows(t *testing.T) {
	rows := []string{"1 a", "21 a", "2 late", ". none", "11 b", "8 late", "35 a", "22 late", "27 late", "31 c"}
	for _, per := range []int{1, 3, 10} {
		for _, policy := range []string{"drop", "dead_letter"} {
			c := counts(10*time.Second, 5*time.Second)
			c.Window.Late = policy
			s := newStream(t, c, 0)
			for chunk := range slices.Chunk(slices.Clone(rows), per) {
				s.send(seconds(t, chunk...))
			}
			if err := s.end(true); err != nil {
				t.Fatal(err)
			}
			s.expect("00:00 00:10 a 1", "00:10 00:20 b 1", "00:20 00:30 a 1", "00:30 00:40 a 1", "00:30 00:40 c 1")
			s.frontier(fmt.Sprint(s.reads), 0)
			var who, why []string
			for _, r := range s.rejected {
				if r.Drop != (policy == "drop") || Class(r.Err) != "late" {
					t.Errorf("%v: drop is %v", r.Err, r.Drop)
				}
				who = append(who, shown(r.Frame)...)
				why = append(why, r.Err.Error())
			}
			slices.Sort(who)
			if got := strings.Join(spans(who), ", "); got != ". none, 00:02 late, 00:08 late, 00:22 late, 00:27 late" {
				t.Errorf("rejected: %s", got)
			}
			if per == 1 && (len(why) != 5 || why[1] != `column "at" is NULL: the row is in no window` ||
				why[0] != "late: the window from 1970-01-01T00:00:00 to 1970-01-01T00:00:10 is closed, since a row of 1970-01-01T00:00:21 has come, and window.lateness is 5s") {
				t.Errorf("%q", why)
			}
		}
	}
}

// A drain sends no window that is not over, and leaves its reads open.
func TestADrainSendsNoPartialWindow(t *testing.T) {
	s := newStream(t, counts(10*time.Second, 0), 0)
	s.send(seconds(t, "1 a"), seconds(t, "12 b"), seconds(t, "15 b"))
	if err := s.end(false); err != nil {
		t.Error(err)
	}
	s.expect("00:00 00:10 a 1")
	s.frontier("1", 2)
}

// Where nothing comes, windows close by the clock, if they are asked to.
func TestIdleWindowsClose(t *testing.T) {
	// The engine's own goroutines are no part of the bubble: it is opened outside.
	synctest.Test(t, func(t *testing.T) {
		c := counts(10*time.Second, time.Minute)
		c.Window.Idle = configs.Duration(30 * time.Second)
		s := newStream(t, c, 0)
		s.send(seconds(t, "1 a", "25 b"))
		time.Sleep(29 * time.Second)
		synctest.Wait()
		s.expect()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.expect("00:00 00:10 a 1", "00:20 00:30 b 1")
		s.frontier("1", 0)
		s.send(seconds(t, "29 late", "31 c"))
		if err := s.end(true); err != nil {
			t.Error(err)
		}
		s.expect("00:30 00:40 c 1")
		if len(s.rejected) != 1 || !strings.Contains(s.rejected[0].Err.Error(), "window.idle") {
			t.Errorf("%d rejected", len(s.rejected))
		}
	})
}

func TestTooManyWindows(t *testing.T) {
	c := counts(time.Second, time.Hour)
	c.Window.MaxWindows = 3
	s := newStream(t, c, 0)
	s.send(seconds(t, "1 a", "2 a", "3 a", "2 b"))
	s.send(seconds(t, "4 a"))
	err := s.end(true)
	if err == nil || !strings.Contains(err.Error(), "more than 3 windows are open at once, from 1970-01-01T00:00:01 to 1970-01-01T00:00:04") {
		t.Error(err)
	}
}

// Windows that do not fit into memory wait on the disk, which is empty afterwards;
// what comes out is what one query over everything gives.
func TestWindowsSpool(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	for _, memory := range []int64{0, 1 << 12, 1} {
		c := &Aggregate{By: columnsOf("who", "f"), Measures: sqlPairs("n", "count(*)", "x", "sum(x)", "first", "first(x)", "last", "last(x)"),
			Window: &Window{Time: "at", Every: configs.Duration(time.Minute), Lateness: configs.Duration(10 * time.Minute), Late: "dead_letter"}}
		s := newStream(t, c, memory)
		var frames []frame.Frame
		at := 0
		for range 60 {
			var rows []string
			for range 200 {
				at += r.IntN(3)
				rows = append(rows, fmt.Sprintf("%de6 %s %s %d", max(0, at-r.IntN(599)), []string{"a", "b", "."}[r.IntN(3)], []string{"u", "v"}[r.IntN(2)], r.IntN(100)))
			}
			frames = append(frames, tableOf(t, []string{"at timestamp[UTC]", "who string", "f factor", "x int32"}, rows...))
		}
		s.send(frames...)
		entries, _ := os.ReadDir(s.env.Temp)
		spooled := 0
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "windows-") {
				files, _ := os.ReadDir(s.env.Temp + "/" + e.Name())
				spooled += len(files)
			}
		}
		if (spooled > 0) != (memory > 0) {
			t.Errorf("memory %d: %d windows are on the disk", memory, spooled)
		}
		got := s.got()
		if err := s.end(true); err != nil {
			t.Fatal(err)
		}
		got = append(got, s.got()...)
		s.frontier(fmt.Sprint(s.reads), 0)
		if len(s.rejected) > 0 {
			t.Errorf("%d rejected", len(s.rejected))
		}
		want := shown(aggregated(t, c, frames...))
		if !slices.Equal(got, want) {
			t.Errorf("memory %d: %d rows, want %d", memory, len(got), len(want))
		}
		for _, e := range entries {
			if files, _ := os.ReadDir(s.env.Temp + "/" + e.Name()); len(files) > 0 {
				t.Errorf("memory %d: %d files are left", memory, len(files))
			}
		}
	}
}

// Every row comes out in one window or is rejected, and every read is settled
// when the last of its rows is: never earlier, never twice.
func TestReadsAreSettledWithTheirWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	for range 30 {
		c := counts(time.Duration(1+r.IntN(20))*time.Second, time.Duration(r.IntN(30))*time.Second)
		c.By = columnsOf("who")
		s := newStream(t, c, int64(r.IntN(2)))
		sent, out := 0, 0
		pending := []*Rows{}
		at := 0
		for range 50 {
			n := 1 + r.IntN(10)
			rows := make([]string, n)
			for i := range rows {
				at += r.IntN(4)
				rows[i] = fmt.Sprintf("%d %c", max(0, at-r.IntN(40)), 'a'+rune(r.IntN(3)))
			}
			sent += n
			s.send(seconds(t, rows...))
			for len(s.out) > 0 {
				pending = append(pending, <-s.out)
			}
			// The sink settles what it has in any order.
			r.Shuffle(len(pending), func(i, j int) { pending[i], pending[j] = pending[j], pending[i] })
			for len(pending) > 0 && r.IntN(3) > 0 {
				out += countOf(pending[0])
				pending[0].Settle(nil)
				pending = pending[1:]
			}
		}
		err := s.end(true)
		for b := range s.out {
			pending = append(pending, b)
		}
		if _, open := s.ledger.Frontier(); open == 0 {
			t.Error("all reads are settled while output is not")
		}
		for _, b := range pending {
			out += countOf(b)
			b.Settle(nil)
		}
		s.frontier(fmt.Sprint(s.reads), 0)
		for _, rejected := range s.rejected {
			out += int(rejected.Frame.NumRows())
		}
		if open, _ := s.ledger.Bytes(); err != nil || out != sent || open != 0 {
			t.Errorf("%d of %d rows came out, %d bytes are open, %v", out, sent, open, err)
		}
	}
}

// countOf adds up the last column.
func countOf(b *Rows) (n int) {
	for _, row := range shown(b.Value) {
		var k int
		fmt.Sscan(row[strings.LastIndexByte(row, ' ')+1:], &k)
		n += k
	}
	return n
}

// Rows that wait in windows do not keep the source from reading.
func TestWindowsGiveMemoryBack(t *testing.T) {
	s := newStream(t, counts(time.Hour, 0), 1<<20)
	s.ledger.max = 1000
	for i := range 100 {
		s.send(seconds(t, fmt.Sprintf("%d a", i)))
	}
	if open, _ := s.ledger.Bytes(); open != 0 {
		t.Errorf("%d bytes are open", open)
	}
	s.frontier("", 100)
	if err := s.end(true); err != nil {
		t.Error(err)
	}
	s.expect("00:00 1970-01-01T01:00:00 a 100")
	s.frontier("100", 0)
}

func TestWindowsOfEveryKindOfTime(t *testing.T) {
	f := func(kind, every, origin string, times []string, want ...string) {
		t.Helper()
		d, err := configs.ParseDuration(every)
		if err != nil {
			t.Fatal(err)
		}
		in := tableOf(t, []string{"at " + kind}, times...)
		for _, endless := range []bool{false, true} {
			c := &Aggregate{Measures: sqlPairs("n", "count(*)"), Window: &Window{Time: "at", Every: d, Origin: origin, Lateness: configs.Duration(1000 * time.Hour)}}
			var got []string
			if endless {
				s := newStream(t, c, 0)
				s.send(in)
				if err := s.end(true); err != nil {
					t.Fatal(err)
				}
				got = s.got()
			} else {
				c.Window.Start, c.Window.End = "start", "end"
				got = shown(aggregated(t, c, in))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, endless %v: %q\nwant %q", kind, endless, got, want)
			}
		}
	}
	f("timestamp[Europe/Berlin]", "1h", "", []string{"-1", "0", "3599999999", "3600000000"},
		"1970-01-01T00:00:00+01:00 1970-01-01T01:00:00+01:00 1", "1970-01-01T01:00:00+01:00 1970-01-01T02:00:00+01:00 2", "1970-01-01T02:00:00+01:00 1970-01-01T03:00:00+01:00 1")
	f("timestamp", "1h", "2024-01-01T00:30:00Z", []string{"0", "1800000000"},
		"1969-12-31T23:30:00 1970-01-01T00:30:00 1", "1970-01-01T00:30:00 1970-01-01T01:30:00 1")
	f("date", "7d", "2024-01-01", []string{"-4", "-3", "3", "4"}, // 1969-12-29 is a Monday
		"1969-12-22 1969-12-29 1", "1969-12-29 1970-01-05 2", "1970-01-05 1970-01-12 1")
}

// Over an input that has an end nothing is late, and rows without a time are
// given up all the same.
func TestWindowsOfAnInputWithAnEnd(t *testing.T) {
	for _, policy := range []string{"drop", "dead_letter"} {
		c := counts(10*time.Second, 0)
		c.Window.Start, c.Window.End, c.Window.Late = "start", "end", policy
		if c.Blocks() || !c.Windowed() || c.DeadLetters() != (policy == "dead_letter") {
			t.Errorf("%s: blocks %v, windowed %v, dead letters %v", policy, c.Blocks(), c.Windowed(), c.DeadLetters())
		}
		out, rejected, err := transformed(t, c, seconds(t, "25 a", "1 b", ". none"), seconds(t, ". none", "3 b", "21 a"))
		if err != nil {
			t.Fatal(err)
		}
		if got := spans(shown(joined(t, out))); !slices.Equal(got, []string{"00:00 00:10 b 2", "00:20 00:30 a 2"}) {
			t.Errorf("%q", got)
		}
		if len(rejected) != 2 || rejected[0].Drop != (policy == "drop") || !slices.Equal(shown(rejected[1].Frame), []string{". none"}) {
			t.Errorf("%d rejected", len(rejected))
		}
	}
}

// The order of columns, conditions and expressions is that of an aggregate.
func TestWindowsHaveConditionsOfTheirOwn(t *testing.T) {
	c := &Aggregate{By: sqlPairs("who", "upper(who)"), Where: "who <> 'x'", Having: "n > 1", Order: "start, n DESC",
		Measures: sqlPairs("n", "count(*)", "since", `min("at")`), Window: &Window{Time: "at", Every: configs.Duration(10 * time.Second)}}
	s := newStream(t, c, 0)
	s.send(seconds(t, "1 a", "2 x", "3 b", "4 b", "5 a", "6 b", "11 a", "12 x", "13 x"))
	s.expect("00:00 00:10 B 3 00:03", "00:00 00:10 A 2 00:01")
	s.frontier("", 1)
	s.send(seconds(t, "20 a")) // of the second window no group is left
	s.expect()
	s.frontier("1", 1)
	if err := s.end(true); err != nil {
		t.Error(err)
	}
	s.expect()
	s.frontier("2", 0)
}

func TestWindowMistakes(t *testing.T) {
	f := func(w *Window, key, want string) {
		t.Helper()
		w.Start, w.End = "start", "end"
		_, err := (&Aggregate{Measures: sqlPairs("n", "count(*)"), Window: w}).Plan(sqlSchema("at timestamp", "day date", "x double"))
		var at interface{ Key() string }
		if !errors.As(err, &at) || at.Key() != key || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
	f(&Window{Time: "nosuch", Every: 1e9}, "window.time", "nosuch")
	f(&Window{Time: "x", Every: 1e9}, "window.time", "neither a timestamp nor a date")
	f(&Window{Time: "day", Every: 1e9}, "window.every", "whole days")
}
