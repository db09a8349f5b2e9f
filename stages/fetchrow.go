package stages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/webapi"
)

// fetchInput is a batch of which rows are still here.
type fetchInput struct {
	batch   *Rows
	number  int     // of the input's batches
	columns [][]int // by request and ref
	when    []int   // by request
	left    int     // rows that have not left the stage
}

// fetchedRow is one row with its answers, or with what went wrong.
type fetchedRow struct {
	in      *fetchInput
	row     int
	answers []fetchAnswer // by request
	err     error
	tries   int  // of the request that failed
	done    bool // it has come back from its requests
}

// bytes is about the memory of the answers.
func (r *fetchedRow) bytes() (n int) {
	for i := range r.answers {
		n += len(r.answers[i].body) + len(r.answers[i].document)
	}
	return n
}

// fetchAnswer is what one request has brought.
type fetchAnswer struct {
	asked    bool     // false where when was not true
	status   int      //
	header   []string // of response.headers; "" where it is missing
	body     []byte   // whole, where it is a column
	document []byte   // JSON, checked; nil where there is none
	records  [][]byte // a JSON object for each row out; nil is a row of missing values
}

// fetch makes the requests of one row.
func (f *fetcher) fetch(ctx context.Context, r *fetchedRow) {
	r.answers = make([]fetchAnswer, len(f.requests))
	for i, q := range f.requests {
		if err := f.ask(ctx, r, i, q); err != nil {
			r.err = fmt.Errorf("%s%w", q.label(), err)
			r.tries = 1
			var e *webapi.Error
			if errors.As(err, &e) {
				r.tries = max(1, e.Tries)
			}
			return
		}
	}
}

// ask makes one request of a row, unless its when says no.
func (f *fetcher) ask(ctx context.Context, r *fetchedRow, i int, q *compiledRequest) error {
	if w := r.in.when[i]; w >= 0 {
		col := r.in.batch.Value.Column(w).(*array.Boolean)
		if col.IsNull(r.row) || !col.Value(r.row) {
			return nil
		}
	}
	v := &rowValues{request: q, columns: r.in.columns[i], frame: r.in.batch.Value, row: r.row, answers: r.answers}
	req, err := q.fill(v)
	if err != nil {
		return err
	}
	resp, err := f.client.Do(ctx, req)
	if err != nil {
		return err
	}
	f.accepted.Store(true)
	a := &r.answers[i]
	if err := q.take(a, resp); err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, resp.URL, err)
	}
	return nil
}

// fill makes the request of a row.
func (q *compiledRequest) fill(v *rowValues) (*webapi.Request, error) {
	req := &webapi.Request{Method: q.Method, Header: http.Header{}, Idempotent: q.Idempotent, Accept: q.accept.Has}
	target, err := q.url.Append(nil, v)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if target, err = q.query(target, v); err != nil {
		return nil, err
	}
	req.URL = string(target)
	for _, h := range q.headers {
		if missing(h.value, v) {
			continue
		}
		value, err := h.value.Append(nil, v)
		if err != nil {
			return nil, fmt.Errorf("headers.%s: %w", h.name, err)
		}
		req.Header[h.name] = []string{string(value)}
	}
	if q.key != nil {
		key, err := q.key.Append(nil, v)
		if err == nil && len(key) == 0 {
			err = errors.New("is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("idempotency_key: %w", err)
		}
		req.IdempotencyKey = string(key)
	}
	if q.body != nil {
		if req.Body, err = q.body.Append([]byte{}, v); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	return req, nil
}

// query adds params to a URL.
func (q *compiledRequest) query(target []byte, v *rowValues) ([]byte, error) {
	separator := byte('?')
	if bytes.IndexByte(target, '?') >= 0 {
		separator = '&'
	}
	for _, p := range q.params {
		if missing(p.value, v) {
			continue
		}
		target = append(append(append(target, separator), p.name...), '=')
		var err error
		if target, err = p.value.Append(target, v); err != nil {
			return nil, fmt.Errorf("params.%s: %w", p.name, err)
		}
		separator = '&'
	}
	return target, nil
}

// missing reports whether a template is one place that may be missing, and is.
func missing(t *webapi.Template, v *rowValues) bool {
	if !t.Only() {
		return false
	}
	p := t.Places()[0]
	if !p.Optional || p.Default != "" {
		return false
	}
	_, ok := v.Text(nil, p)
	return !ok
}

// take makes an answer of a response. The error says what is wrong with it.
func (q *compiledRequest) take(a *fetchAnswer, resp *webapi.Response) error {
	c := &q.Response
	a.asked, a.status = true, resp.Status
	for _, h := range c.Headers {
		a.header = append(a.header, strings.ToValidUTF8(strings.Join(resp.Header.Values(h.Value), ", "), "\ufffd"))
	}
	if c.bodyColumn() != "" {
		if !utf8.Valid(resp.Body) {
			return errors.New("the answer is not UTF-8, and a column of text cannot hold it")
		}
		a.body = resp.Body
	}
	json := c.Format == "json" || q.wanted
	if !json || resp.Status >= 300 || len(bytes.TrimSpace(resp.Body)) == 0 {
		return nil
	}
	if err := ndjson.Valid(resp.Body); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	a.document = resp.Body
	if c.Format != "json" {
		return nil
	}
	return q.records(a)
}

// records finds the records of an answer: it, or the elements of each.
func (q *compiledRequest) records(a *fetchAnswer) error {
	if q.each == nil {
		record, err := q.record(a.document)
		if record != nil {
			a.records = [][]byte{record}
		}
		return err
	}
	list, ok := q.each.Find(a.document)
	a.records = [][]byte{}
	if !ok || list[0] == 'n' {
		return nil
	}
	return ndjson.Elements(list, func(element []byte) error {
		record, err := q.record(element)
		a.records = append(a.records, record)
		return err
	})
}

// record is the JSON object whose keys are columns: the value itself, or one that
// is put together of what the paths lead to. Nil is a row of missing values.
func (q *compiledRequest) record(value []byte) ([]byte, error) {
	value = bytes.TrimSpace(value)
	if len(q.columns) == 0 {
		switch value[0] {
		case '{':
			return value, nil
		case 'n':
			return nil, nil
		}
		return nil, fmt.Errorf("the answer is %s, and only the keys of an object are columns; say response.columns or response.each", kindOfJSON(value))
	}
	out := []byte{'{'}
	for i, c := range q.columns {
		if i > 0 {
			out = append(out, ',')
		}
		out = frame.AppendQuoted(out, c.name)
		out = append(out, ':')
		if v, ok := c.path.Find(value); ok {
			out = append(out, v...)
		} else {
			out = append(out, "null"...)
		}
	}
	return append(out, '}'), nil
}

func kindOfJSON(value []byte) string {
	text := ndjson.Describe(value)
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return text
}
