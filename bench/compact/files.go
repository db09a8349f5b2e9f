//go:build unix && cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// makeInput writes files as a pipeline of small commits leaves them.
func makeInput(dir string, files int) error {
	ctx := context.Background()
	sink := &sinks.Parquet{Path: dir, Compression: "snappy", Files: sinks.Files{RowsPerFile: rowsOfFile}}
	w, err := sink.Open(ctx, &stages.Env{Run: "run-1", Parallel: 2})
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range files {
		f, err := events(random, i*rowsOfFile)
		if err == nil {
			err = w.Write(ctx, &stages.Rows{Value: f, Rows: rowsOfFile})
		}
		if err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	parts, err := w.Prepare(ctx, 0)
	if err == nil {
		err = w.Publish(ctx, parts)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Finish(ctx, true)
}

// events are rows of six columns: numbers that grow, a time, a user of 100,000,
// a country of 30, an amount of which a tenth is missing, and a text.
func events(r *rand.Rand, first int) (frame.Frame, error) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
		{Name: "user", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "country", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "page", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	b := frame.NewBuilderSize(schema, rowsOfFile)
	for i := range rowsOfFile {
		b.Column(0).AppendInt64(int64(first + i))
		b.Column(1).AppendInt64(1_790_000_000_000_000 + int64(first+i)*1_000_000 + r.Int64N(1_000_000))
		b.Column(2).AppendInt32(r.Int32N(100_000))
		b.Column(3).AppendString(fmt.Sprintf("country %d", r.IntN(30)))
		if r.IntN(10) == 0 {
			b.Column(4).AppendNull()
		} else {
			b.Column(4).AppendDouble(r.Float64() * 100)
		}
		b.Column(5).AppendString(fmt.Sprintf("/page/%d", r.IntN(5000)))
	}
	return b.Frame()
}

// check counts the rows of what was written, and returns its bytes.
func (m *measure) check() (bytes float64, err error) {
	rows := int64(0)
	count := func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !strings.HasSuffix(path, ".parquet") {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		p, err := parquet.OpenFile(f, info.Size())
		if err != nil {
			return err
		}
		rows += p.NumRows()
		bytes += float64(info.Size())
		return nil
	}
	for _, path := range []string{m.output, m.output + ".parquet"} {
		if err := filepath.WalkDir(path, count); err != nil {
			return 0, err
		}
	}
	if want := int64(m.files) * rowsOfFile; rows != want {
		return 0, fmt.Errorf("%d rows were written, not %d", rows, want)
	}
	return bytes, nil
}
