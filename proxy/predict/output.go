package predict

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// errorColumn is the last column of a table of which rows failed.
const errorColumn = ".error"

// output is the answer to a request, before it has a form.
type output struct {
	results
	form    form
	details bool // tell all of errors
}

// entry is one row of the answer: a result or an error.
type entry struct {
	row int // of the frame; -1 for an error
	err *RowError
}

// entries are the results and errors in the order of the rows that they are of.
func (o *output) entries() []entry {
	out := make([]entry, 0, len(o.place)+len(o.errors))
	at := 0
	for row, place := range o.place {
		for at < len(o.errors) && o.errors[at].Index < int(place) {
			out = append(out, entry{-1, o.errors[at]})
			at++
		}
		out = append(out, entry{row, nil})
	}
	for _, e := range o.errors[at:] {
		out = append(out, entry{-1, e})
	}
	return out
}

// encode writes the answer in a medium.
func (o *output) encode(m media) ([]byte, error) {
	switch m {
	case mediaNDJSON:
		return o.appendRows(nil, "", "\n", "\n"), nil
	case mediaCSV:
		return o.csv()
	case mediaArrowStream, mediaArrowFile:
		return o.arrow(m == mediaArrowFile)
	}
	switch o.form {
	case formObject:
		if len(o.place)+len(o.errors) == 1 { // of a pipeline, there may be more or none
			return append(o.appendRows(nil, "", "", ""), '\n'), nil
		}
	case formWrapped:
		return append(o.appendRows([]byte(`{"rows":`), "[", ",", "]"), "}\n"...), nil
	case formInstances:
		return append(o.appendRows([]byte(`{"predictions":`), "[", ",", "]"), "}\n"...), nil
	case formColumns:
		return o.jsonColumns(), nil
	}
	return append(o.appendRows(nil, "[", ",", "]"), '\n'), nil
}

// appendRows appends an object for each row. In the form of instances, a result of
// one column is its value alone.
func (o *output) appendRows(dst []byte, open, between, end string) []byte {
	var names [][]byte
	if o.frame != nil {
		for _, name := range columnNames(o.frame.Schema()) {
			names = append(names, append(frame.AppendQuoted(nil, name), ':'))
		}
	}
	bare := o.form == formInstances && len(names) == 1
	dst = append(dst, open...)
	for i, e := range o.entries() {
		if i > 0 {
			dst = append(dst, between...)
		}
		switch {
		case e.err != nil:
			dst = append(dst, `{"error":`...)
			dst = append(o.appendError(dst, e.err), '}')
		case bare:
			dst = frame.AppendJSON(dst, o.frame.Schema().Field(0), o.frame.Column(0), e.row)
		default:
			dst = append(dst, '{')
			for c, name := range names {
				if c > 0 {
					dst = append(dst, ',')
				}
				dst = append(dst, name...)
				dst = frame.AppendJSON(dst, o.frame.Schema().Field(c), o.frame.Column(c), e.row)
			}
			dst = append(dst, '}')
		}
	}
	if end == "\n" && len(o.place)+len(o.errors) == 0 {
		return dst
	}
	return append(dst, end...)
}

func (o *output) appendError(dst []byte, e *RowError) []byte {
	details := ""
	if o.details {
		details = fault.Details(e.Err)
	}
	return e.appendJSON(dst, details)
}

// jsonColumns has null where a row failed, and the errors beside.
func (o *output) jsonColumns() []byte {
	entries := o.entries()
	dst := []byte(`{"columns":{`)
	if o.frame != nil {
		for c, f := range o.frame.Schema().Fields() {
			if c > 0 {
				dst = append(dst, ',')
			}
			dst = append(frame.AppendQuoted(dst, f.Name), ":["...)
			for i, e := range entries {
				if i > 0 {
					dst = append(dst, ',')
				}
				if e.err != nil {
					dst = append(dst, "null"...)
				} else {
					dst = frame.AppendJSON(dst, f, o.frame.Column(c), e.row)
				}
			}
			dst = append(dst, ']')
		}
	}
	dst = append(dst, '}')
	if len(o.errors) > 0 {
		dst = append(dst, `,"errors":`...)
		dst = o.appendErrors(dst)
	}
	return append(dst, "}\n"...)
}

func (o *output) appendErrors(dst []byte) []byte {
	dst = append(dst, '[')
	for i, e := range o.errors {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = o.appendError(dst, e)
	}
	return append(dst, ']')
}

// table is the answer as a frame: nulls where a row failed, and why in a last
// column.
func (o *output) table() (frame.Frame, error) {
	f := o.frame
	if f == nil {
		f = frame.Empty(arrow.NewSchema(nil, nil))
	}
	if len(o.errors) == 0 {
		return f, nil
	}
	entries := o.entries()
	rows := make([]int32, len(entries))
	why := frame.NewColumn(arrow.Field{Name: errorColumn, Type: arrow.BinaryTypes.String, Nullable: true}, len(entries))
	for i, e := range entries {
		rows[i] = int32(e.row)
		if e.err == nil {
			why.AppendNull()
			continue
		}
		rows[i] = frame.NoRow
		why.AppendString(e.err.Reason + ": " + e.err.Text())
	}
	spread, err := frame.TakeOrNull(f, rows)
	if err != nil {
		return nil, err
	}
	last, err := why.Array()
	if err != nil {
		return nil, err
	}
	columns := append(slices.Clone(spread.Schema().Fields()), why.Field())
	return frame.New(arrow.NewSchema(columns, nil), append(slices.Clone(spread.Columns()), last), len(rows)), nil
}

func (o *output) csv() ([]byte, error) {
	f, err := o.table()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if f.NumCols() > 0 {
		if err := w.Write(columnNames(f.Schema())); err != nil {
			return nil, err
		}
	}
	record := make([]string, f.NumCols())
	for i := range int(f.NumRows()) {
		for c := range record {
			record[c] = string(frame.AppendText(nil, f.Column(c), i, frame.TextOptions{Null: "NA"}))
		}
		if err := w.Write(record); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

func (o *output) arrow(isFile bool) ([]byte, error) {
	f, err := o.table()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	} = ipc.NewWriter(&b, ipc.WithSchema(f.Schema()))
	if isFile {
		if w, err = ipc.NewFileWriter(&b, ipc.WithSchema(f.Schema())); err != nil {
			return nil, err
		}
	}
	if err := w.Write(f); err != nil {
		return nil, fmt.Errorf("write the results as Arrow: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write the results as Arrow: %w", err)
	}
	return b.Bytes(), nil
}

// status is that of the answer: 200 where there is a result, else that of the
// first error.
func (o *output) status() int {
	if len(o.place) > 0 || len(o.errors) == 0 {
		return http.StatusOK
	}
	return o.errors[0].Status
}

// refusal is the answer where one failed row fails the request.
func (o *output) refusal(rows int) (status int, body []byte) {
	for _, e := range o.errors { // a fault of the server's is the worse
		status = max(status, e.Status)
	}
	dst := []byte(`{"error":"rows_failed","message":`)
	dst = frame.AppendQuoted(dst, strconv.Itoa(len(o.errors))+" of "+strconv.Itoa(rows)+" rows failed")
	dst = append(dst, `,"errors":`...)
	return status, append(o.appendErrors(dst), "}\n"...)
}
