package node

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

const (
	toldEvery  = 100 * time.Millisecond // a task's log gets a message at most so often
	toldAtOnce = 16 << 10               // but for those of so many bytes
	toldMost   = 4 << 20                // bytes of one attempt
	// A progress of more bytes is a blob, since a log message has 64 KiB at most.
	progressInline = 16 << 10
	// The last progress is repeated in every so many messages, since a log forgets.
	progressAgain = 200
)

// told collects what an attempt tells, and sends it to its log.
type told struct {
	n               *Node
	job             string
	number, attempt int

	sending sync.Mutex // held while a message is sent, so that they stay in order

	mu       sync.Mutex
	lines    []tasks.ToldLine
	size     int // bytes of lines
	total    int // bytes so far
	progress []byte
	at       time.Time
	fresh    bool         // progress has not been sent
	last     *tasks.Value // that was sent
	lastAt   time.Time
	sent     int // messages
	timer    *time.Timer
	ended    bool
}

// take is rpool.Request.Events: it waits for nothing.
func (t *told) take(e rpool.Event) {
	now := time.Now().UTC()
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Progress != nil {
		t.progress, t.at, t.fresh = e.Progress, now, true
	} else {
		if t.total >= toldMost {
			return
		}
		if t.total += len(e.Text) + 1; t.total >= toldMost {
			e = rpool.Event{Stream: rpool.Message, Text: fmt.Sprintf("[the log ends here: it has %d MiB]", toldMost>>20)}
		}
		t.line(tasks.ToldLine{Time: now, Stream: e.Stream.String(), Text: e.Text})
	}
	t.later()
}

// line adds one, in pieces where it is long. t.mu is held.
func (t *told) line(l tasks.ToldLine) {
	for len(l.Text) > toldAtOnce {
		cut := toldAtOnce
		for cut > toldAtOnce-4 && l.Text[cut]&0xc0 == 0x80 { // within a character
			cut--
		}
		piece := l
		piece.Text, l.Text = l.Text[:cut], l.Text[cut:]
		t.lines = append(t.lines, piece)
		t.size += cut
	}
	t.lines = append(t.lines, l)
	t.size += len(l.Text)
}

// later sees to it that a message is sent. t.mu is held.
func (t *told) later() {
	wait := toldEvery
	if t.size >= toldAtOnce {
		wait = 0
	}
	switch {
	case t.ended:
	case t.timer == nil:
		if t.sent == 0 {
			wait = 0
		}
		t.timer = time.AfterFunc(wait, t.send)
	case wait == 0 && t.timer.Stop():
		t.timer.Reset(0)
	}
}

// end sends what is left. Nothing is taken any more.
func (t *told) end() {
	t.mu.Lock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.ended = true
	idle := t.total == 0 && t.progress == nil // a send may be under way
	t.mu.Unlock()
	if !idle {
		t.send()
	}
}

// send sends what there is, in messages that are not too long.
func (t *told) send() {
	t.sending.Lock()
	defer t.sending.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), writeFor)
	defer cancel()
	t.mu.Lock()
	t.timer = nil
	lines, progress, at, fresh := t.lines, t.progress, t.at, t.fresh
	t.lines, t.size, t.fresh = nil, 0, false
	t.mu.Unlock()
	if fresh {
		v, err := t.n.progress(ctx, progress)
		if err != nil {
			t.n.log.Warn("the progress of a task is lost", "task", tasks.TaskID(t.job, t.number), "error", err)
		} else {
			t.last, t.lastAt = v, at
		}
	}
	for len(lines) > 0 || fresh {
		m := tasks.Told{Attempt: t.attempt}
		k, size := 0, 0
		for k < len(lines) && (k == 0 || size+len(lines[k].Text) <= toldAtOnce) && k < 256 {
			size += len(lines[k].Text)
			k++
		}
		m.Lines, lines = lines[:k], lines[k:]
		if t.last != nil && (fresh || t.sent%progressAgain == 0) {
			m.Progress, m.At = t.last, t.lastAt
		}
		fresh = false
		t.n.logTo(ctx, t.job, t.number, &m)
		t.mu.Lock()
		t.sent++
		t.mu.Unlock()
	}
}

// progress is a value as it stands in a log.
func (n *Node) progress(ctx context.Context, stream []byte) (*tasks.Value, error) {
	v := &tasks.Value{Size: int64(len(stream))}
	if len(stream) <= progressInline {
		v.Data = stream
		return v, nil
	}
	var err error
	v.Ref, err = n.s.PutBytes(ctx, stream)
	return v, err
}

// logTo sends a message, in parts where it is too long: JSON makes six bytes of some.
func (n *Node) logTo(ctx context.Context, job string, number int, m *tasks.Told) {
	data, err := json.Marshal(m)
	if k := len(m.Lines); len(data) > broker.MaxLog && k > 0 {
		first, rest := *m, tasks.Told{Attempt: m.Attempt}
		if first.Lines, rest.Lines = m.Lines[:k/2], m.Lines[k/2:]; k == 1 {
			l := m.Lines[0]
			cut := len(l.Text) / 2
			for cut > 0 && !utf8.RuneStart(l.Text[cut]) {
				cut--
			}
			head, tail := l, l
			head.Text, tail.Text = l.Text[:cut], l.Text[cut:]
			first.Lines, rest.Lines = []tasks.ToldLine{head}, []tasks.ToldLine{tail}
		}
		n.logTo(ctx, job, number, &first)
		n.logTo(ctx, job, number, &rest)
		return
	}
	if err == nil {
		err = n.b.Log(ctx, job, number, data)
	}
	if err != nil {
		n.log.Warn("lines of a log are lost", "log", tasks.TaskID(job, number), "lines", len(m.Lines), "error", err)
	}
}

// diary is the worker's own log: what it has done, for others to read.
type diary struct {
	mu    sync.Mutex
	lines []tasks.ToldLine
	more  chan struct{} // has an element after lines has some
	n     *Node
}

// diaryMost is how many lines may wait; the oldest go.
const diaryMost = 1000

func (d *diary) begin(n *Node) { d.n, d.more = n, make(chan struct{}, 1) }

// note writes an event and what it is about into the worker's log.
func (d *diary) note(event, text string) {
	d.mu.Lock()
	if len(d.lines) >= diaryMost {
		d.lines = d.lines[1:]
	}
	d.lines = append(d.lines, tasks.ToldLine{Time: time.Now().UTC(), Stream: event, Text: text})
	d.mu.Unlock()
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// writeDiary sends the worker's log, until ctx ends and then the rest.
func (n *Node) writeDiary(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			n.note("STOP", "")
			n.flushDiary()
			return
		case <-n.more:
		}
		n.flushDiary()
		select {
		case <-ctx.Done():
		case <-time.After(toldEvery):
		}
	}
}

func (n *Node) flushDiary() {
	n.diary.mu.Lock()
	lines := n.lines
	n.lines = nil
	n.diary.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), writeFor)
	defer cancel()
	job, number := tasks.WorkerLog(n.o.ID)
	for len(lines) > 0 {
		k, size := 0, 0
		for k < len(lines) && (k == 0 || size+len(lines[k].Text) <= toldAtOnce) && k < 256 {
			size += len(lines[k].Text)
			k++
		}
		n.logTo(ctx, job, number, &tasks.Told{Lines: lines[:k]})
		lines = lines[k:]
	}
}
