package server

import (
	"bufio"
	"io"
	"net/http"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// resultsR writes results as an R list that has an element for each task of the range:
// NULL for one that has not ended. Values are raw vectors, as they are streams of their
// own; nothing of them is held in memory.
func (s *Server) resultsR(w http.ResponseWriter, r *http.Request, who *who, job *tasks.Job, o queue.ResultsOptions) error {
	names, err := s.queue.Names(r.Context(), job)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", api.R)
	l := &listWriter{out: bufio.NewWriterSize(w, 64<<10)}
	l.out.Write(rdata.AppendHeader(nil))
	l.enc.VectorHead(rdata.KindList, max(0, o.To-o.From+1), false, false)
	next := o.From
	err = s.queue.Results(r.Context(), who.Who, job.ID, o, func(n int, t *tasks.Task) error {
		for ; next < n; next++ {
			l.enc.Null()
		}
		next = n + 1
		return s.resultR(r, l, n, element(names, n), t)
	})
	for ; err == nil && next <= o.To; next++ {
		l.enc.Null()
	}
	if err == nil {
		err = l.flush()
	}
	if err == nil {
		err = l.out.Flush()
	}
	if err != nil {
		return &begunError{err}
	}
	return nil
}

// listWriter writes an R value by pieces.
type listWriter struct {
	enc rdata.Encoder
	out *bufio.Writer
}

func (l *listWriter) flush() error {
	if err := l.enc.Err(); err != nil {
		return err
	}
	_, err := l.out.Write(l.enc.Buf)
	l.enc.Buf = l.enc.Buf[:0]
	return err
}

// resultR is one element: list(id, n, element, state, value, failure).
func (s *Server) resultR(r *http.Request, l *listWriter, n int, element string, t *tasks.Task) error {
	e := &l.enc
	text := func(s string) { e.Value(rdata.NewCharacter([]string{s})) }
	e.VectorHead(rdata.KindList, 6, false, true)
	text(t.ID())
	e.Value(&rdata.Integer{Values: []int32{int32(n)}})
	text(element)
	text(string(t.State))
	if t.State == tasks.Complete {
		value, size, err := s.queue.Open(r.Context(), t.Result)
		if err != nil {
			return err
		}
		defer value.Close()
		e.VectorHead(rdata.KindRaw, int(size), false, false)
		if err := l.flush(); err != nil {
			return err
		}
		if _, err := io.CopyN(l.out, value, size); err != nil {
			return err
		}
	} else {
		e.Null()
	}
	f := t.Failure
	if f == nil || t.State == tasks.Complete {
		e.Null()
	} else {
		e.VectorHead(rdata.KindList, 5, false, true)
		text(f.Cause)
		text(f.Message)
		e.Value(rdata.NewCharacter(f.Classes))
		text(f.Call)
		e.Value(rdata.NewCharacter(f.Traceback))
		e.Attr("names")
		e.Value(rdata.NewCharacter([]string{"cause", "message", "class", "call", "traceback"}))
		e.EndAttrs()
	}
	e.Attr("names")
	e.Value(rdata.NewCharacter([]string{"id", "n", "element", "state", "value", "failure"}))
	e.EndAttrs()
	return l.flush()
}
