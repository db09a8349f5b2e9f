package predict

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/frame"
)

// csv reads delimited text (RFC 4180) whose first record names the columns. An
// empty field and NA are missing values, in quotes or not.
func (r *reader) csv(body []byte) (*input, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		return nil, badRequest("CSV: not UTF-8")
	}
	records := csv.NewReader(bytes.NewReader(body))
	records.FieldsPerRecord = -1
	header, err := records.Read()
	if errors.Is(err, io.EOF) {
		return nil, badRequest("CSV: no header; the first line must name the columns")
	}
	if err != nil {
		return nil, badRequest("CSV: %v", err)
	}
	if err := distinct(header); err != nil {
		return nil, err
	}
	in := &input{}
	var rows [][][]byte
	var place []int32
	for ; ; in.rows++ {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, badRequest("CSV: %v", err)
		}
		if err := r.tooMany(in.rows + 1); err != nil {
			return nil, err
		}
		if len(record) != len(header) {
			e := invalid(in.rows)
			e.Message = fmt.Sprintf("has %d fields, and the header names %d", len(record), len(header))
			in.errors = append(in.errors, e)
			continue
		}
		rows, place = append(rows, present(record)), append(place, int32(in.rows))
	}
	if len(rows) == 0 {
		return in, nil
	}
	return in, r.typed(in, header, rows, place)
}

// present is a record with nil for what is missing.
func present(record []string) [][]byte {
	row := make([][]byte, len(record))
	for i, field := range record {
		if field != "" && field != "NA" {
			row[i] = []byte(field)
		}
	}
	return row
}

// typed makes the input's frame of text.
func (r *reader) typed(in *input, header []string, rows [][][]byte, place []int32) error {
	s := r.schema
	at := make([]int, len(header))
	for i := range at {
		at[i] = i
	}
	if s == nil {
		guessed := frame.NewInferrer(header, frame.InferOptions{})
		for _, row := range rows {
			guessed.Sample(row)
		}
		s = &schema{Schema: guessed.Schema()}
	} else {
		var err error
		if at, err = r.columns(header); err != nil {
			return err
		}
	}
	b := frame.NewBuilderSize(s.Schema, len(rows))
	good := make([]int32, 0, len(rows))
	for i, row := range rows {
		if e := appendText(b, at, row, int(place[i])); e != nil {
			in.errors = append(in.errors, e)
		} else {
			good = append(good, place[i])
		}
	}
	sortErrors(in.errors)
	if len(good) == 0 {
		return nil
	}
	f, err := b.Frame()
	if err != nil {
		return badRequest("rows: %v", err)
	}
	if r.schema == nil {
		f = unknown(f)
	}
	in.frame = f
	if len(good) < in.rows {
		in.place = good
	}
	return nil
}

// appendText adds a row of text, or says what is wrong with it.
func appendText(b *frame.Builder, at []int, row [][]byte, index int) *RowError {
	n := b.Len()
	e := invalid(index)
	for i, k := range at {
		c := b.Column(i)
		switch {
		case k < 0 || row[k] == nil:
			c.AppendNull()
		case !c.ParseText(row[k]):
			e.add(c.Field().Name, fmt.Sprintf("%s is not %s", strconv.Quote(clip(string(row[k]))), frame.TypeName(c.Field())))
		}
	}
	if len(e.Columns) == 0 {
		return nil
	}
	for i := range at {
		b.Column(i).Truncate(n)
	}
	return e
}
