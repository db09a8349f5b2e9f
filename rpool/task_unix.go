//go:build unix

package rpool

import (
	"bytes"
	"strings"
)

// maxPlans is how many plans a worker is taken to have before that is forgotten.
const maxPlans = 1024

// encode is encodeRequest; a plan that R has not been sent goes along.
func (w *worker) encode(r *Request) splice {
	if r.Kind != Task {
		return encodeRequest(&w.enc, r)
	}
	key := r.Task.Plan.Key
	if _, sent := w.plans[key]; sent {
		return encodeTask(&w.enc, r, false)
	}
	if w.plans == nil || len(w.plans) >= maxPlans {
		w.plans = make(map[string]struct{})
	}
	w.plans[key] = struct{}{}
	return encodeTask(&w.enc, r, true)
}

// teach sends a task whose plan R has dropped again, with it.
func (w *worker) teach(r *Request) (header, []byte, error) {
	s := encodeTask(&w.enc, r, true)
	if s.err != nil {
		return header{}, nil, s.err
	}
	if s.size() > w.link.limit {
		return header{}, nil, &FrameSizeError{Size: s.size(), Limit: w.link.limit, Request: true}
	}
	return w.roundTrip(frameTask, s)
}

// claim moves a result's file to where the caller wants it.
func (reply *Reply) claim(r *Request) error {
	if reply.File == "" || reply.File == r.Task.Result {
		return nil
	}
	from := reply.File
	reply.File = r.Task.Result
	return moveFile(from, reply.File)
}

// teller cuts what a task writes into events: lines, and between them what task.R
// writes with told(), a letter and a text between the characters RS and US. All goes
// by the one pipe of stdout and stderr, and so stays in order.
type teller struct {
	fn      func(Event)
	line    []byte // a line, or a marked text, without its end yet
	marked  bool   // it is a marked text
	pending []Event
}

const (
	markBegin = 0x1e
	markEnd   = 0x1f
	maxMarked = 128 << 10
)

func (t *teller) take(b []byte) {
	for len(b) > 0 {
		if t.marked {
			i := bytes.IndexByte(b, markEnd)
			if i < 0 {
				t.line = append(t.line, b...)
				if len(t.line) > maxMarked { // none of ours
					t.marked = false
				}
				return
			}
			t.line = append(t.line, b[:i]...)
			t.endMarked()
			b = b[i+1:]
			continue
		}
		i := bytes.IndexAny(b, "\n\x1e")
		if i < 0 {
			t.line = append(t.line, b...)
			for len(t.line) > maxLine {
				t.endLine(maxLine)
			}
			return
		}
		t.line = append(t.line, b[:i]...)
		if b[i] == '\n' || len(t.line) > 0 {
			t.endLine(len(t.line))
		}
		t.marked = b[i] == markBegin
		b = b[i+1:]
	}
}

func (t *teller) endLine(n int) {
	t.pending = append(t.pending, Event{Stream: Stdout, Text: legibleText(bytes.TrimRight(t.line[:n], "\r"))})
	t.line = append(t.line[:0], t.line[n:]...)
}

func (t *teller) endMarked() {
	e := Event{Stream: Stdout, Text: legibleText(t.line)}
	switch {
	case strings.HasPrefix(e.Text, "M"):
		e.Stream, e.Text = Message, e.Text[1:]
	case strings.HasPrefix(e.Text, "W"):
		e.Stream, e.Text = Warning, e.Text[1:]
	}
	t.pending = append(t.pending, e)
	t.line, t.marked = t.line[:0], false
}

func legibleText(b []byte) string { return string(bytes.ToValidUTF8(b, []byte("\uFFFD"))) }

// listen has fn hear of what is written from now on.
func (o *output) listen(fn func(Event)) {
	o.empty()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = &teller{fn: fn}
}

// unlisten ends that; fn has heard of everything then.
func (o *output) unlisten() {
	o.empty()
	o.mu.Lock()
	if t := o.told; len(t.line) > 0 {
		t.endLine(len(t.line))
	}
	o.mu.Unlock()
	o.tell(nil)
	o.mu.Lock()
	o.told = nil
	o.mu.Unlock()
}

// tell hands on what the task at hand has told so far, and then e.
func (o *output) tell(e *Event) {
	o.telling.Lock()
	defer o.telling.Unlock()
	o.mu.Lock()
	t := o.told
	if t == nil {
		o.mu.Unlock()
		return
	}
	events := t.pending
	t.pending = nil
	o.mu.Unlock()
	for _, e := range events {
		t.fn(e)
	}
	if e != nil {
		t.fn(*e)
	}
}
