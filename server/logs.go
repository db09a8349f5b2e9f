package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// reader reads a log: all of it after a number, and what comes where it follows.
type reader func(ctx context.Context, after uint64, follow bool, f func(seq uint64, t time.Time, data []byte) error) error

func (s *Server) getLog(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	if _, _, err := s.task(r, who, id); err != nil {
		return err
	}
	return s.writeLog(w, r, who, func(ctx context.Context, after uint64, follow bool, f func(uint64, time.Time, []byte) error) error {
		return s.queue.Log(ctx, who.Who, id, after, follow, f)
	})
}

// writeLog answers with the lines of a log, in the form that the client takes.
func (s *Server) writeLog(w http.ResponseWriter, r *http.Request, who *who, read reader) error {
	q := r.URL.Query()
	follow, err := boolOf(q, "follow")
	if err != nil {
		return err
	}
	after := lastEventID(r)
	if text := q.Get("after"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return invalidField("after", strconv.Quote(text)+" is not the number of a line")
		}
		after = max(after, n) // a browser that comes back asks by the address that it had
	}
	form, ok := accepts(r, api.Lines, api.JSON, api.Text, api.Stream)
	if !ok {
		return notAcceptable(api.Lines, api.Text, api.Stream)
	}
	ctx := r.Context()
	if follow {
		var release func()
		if ctx, release, err = s.last(r, who); err != nil {
			return err
		}
		defer release()
	}
	if form == api.Stream {
		return s.streamLog(ctx, w, read, after, follow)
	}
	h := w.Header()
	h.Set("Content-Type", api.Lines)
	if form == api.Text {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	out := newLines(w, follow)
	err = read(ctx, after, follow, func(seq uint64, at time.Time, data []byte) error {
		return eachLine(seq, at, data, func(l *api.LogLine) error {
			if form == api.Text {
				return out.text(l.Line)
			}
			return out.write(l)
		})
	})
	if follow && ctx.Err() != nil && r.Context().Err() == nil {
		err = nil // a drain ends it
	}
	return out.end(err)
}

// text writes a line as it is.
func (l *lines) text(line string) error {
	l.begun = true
	l.b.WriteString(line)
	err := l.b.WriteByte('\n')
	if err == nil && l.each {
		if err = l.b.Flush(); err == nil {
			err = http.NewResponseController(l.w).Flush()
		}
	}
	return err
}

// streamLog writes a log as server-sent events, with a sign of life while nothing comes.
func (s *Server) streamLog(ctx context.Context, w http.ResponseWriter, read reader, after uint64, follow bool) error {
	out, err := newSSE(w)
	if err != nil {
		return &begunError{err}
	}
	type message struct {
		seq  uint64
		at   time.Time
		data []byte
	}
	messages, ended := make(chan message), make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		ended <- read(ctx, after, follow, func(seq uint64, at time.Time, data []byte) error {
			select {
			case messages <- message{seq, at, append([]byte(nil), data...)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	beats := time.NewTicker(heartbeat)
	defer beats.Stop()
	for err == nil {
		select {
		case m := <-messages:
			err = eachLine(m.seq, m.at, m.data, func(l *api.LogLine) error { return out.send("log", m.seq, l) })
		case <-beats.C:
			err = out.beat()
		case err := <-ended:
			switch {
			case ctx.Err() != nil: // of a drain, say: the log goes on, so no end is told
				return nil
			case err != nil:
				s.log.Warn("a log broke off", "error", err)
				return nil
			}
			out.send("end", 0, &api.Event{Type: "end", Time: time.Now().UTC()})
			return nil
		}
	}
	cancel()
	for {
		select {
		case <-messages:
		case <-ended:
			return &begunError{err}
		}
	}
}

// eachLine takes a message of a log apart.
func eachLine(seq uint64, at time.Time, data []byte, f func(*api.LogLine) error) error {
	var told tasks.Told
	if err := json.Unmarshal(data, &told); err != nil {
		return fmt.Errorf("message %d of the log: %w", seq, err)
	}
	for _, line := range told.Lines {
		l := &api.LogLine{Seq: seq, Time: line.Time.UTC(), Stream: line.Stream, Line: line.Text, Attempt: told.Attempt}
		if line.Time.IsZero() {
			l.Time = at.UTC()
		}
		if err := f(l); err != nil {
			return err
		}
	}
	return nil
}

// getProgress answers with the last that a task told of itself.
func (s *Server) getProgress(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	if _, _, err := s.task(r, who, id); err != nil {
		return err
	}
	var last *tasks.Told
	err = s.queue.Log(r.Context(), who.Who, id, 0, false, func(_ uint64, at time.Time, data []byte) error {
		var told tasks.Told
		if err := json.Unmarshal(data, &told); err != nil {
			return err
		}
		if told.Progress != nil {
			if last = &told; told.At.IsZero() {
				told.At = at
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var out api.Progress
	if last != nil {
		out.Time = when(last.At)
		if out.Value, err = s.document(r.Context(), *last.Progress); err != nil {
			return err
		}
	}
	return writeJSON(w, 200, &out)
}
