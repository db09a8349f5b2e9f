package compact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// sink is the Parquet sink that writes to a directory or prefix what this
// compaction makes.
func (j *job) sink(path, ifExists string) *sinks.Parquet {
	s := &sinks.Parquet{
		Path: strings.TrimRight(path, "/") + "/", Compression: j.Compression, Level: j.Level, RowGroup: j.RowGroup,
		Files: sinks.Files{BytesPerFile: configs.Size(j.TargetSize), IfExists: ifExists},
	}
	if j.schema != nil && j.schema.partitions != nil {
		for _, f := range j.schema.partitions.Fields() {
			s.PartitionBy = append(s.PartitionBy, f.Name)
		}
	}
	return s
}

// write writes the merged files anew and returns the new ones, which nobody sees
// yet. Each directory is an epoch of the writer: when it is full its memory is free.
func (j *job) write(ctx context.Context, w sinks.Writer) ([]sinks.Part, error) {
	j.step("merging")
	if len(j.Sort) > 0 {
		j.step("sorting")
	}
	j.nulls = map[string]int64{}
	var parts []sinks.Part
	for i, d := range j.dirs {
		if len(d.merged) == 0 {
			continue
		}
		p, nulls, err := j.writeDirectory(ctx, w, d, uint64(i+1))
		if err != nil {
			return nil, err
		}
		for k, n := range nulls {
			j.nulls[j.schema.files.Field(k).Name] += n
		}
		parts = append(parts, p...)
		passed("compact-directory")
	}
	if len(parts) == 0 && j.report.Kept == 0 { // no row at all: a file that has the columns
		p, err := w.Prepare(ctx, stages.FinalEpoch)
		if err != nil {
			return nil, err
		}
		parts = p
	}
	return parts, nil
}

func (j *job) writeDirectory(ctx context.Context, w sinks.Writer, d *directory, epoch uint64) (parts []sinks.Part, nulls []int64, err error) {
	same, err := newConstants(j.schema, d.path)
	if err != nil {
		return nil, nil, err
	}
	write := func(f frame.Frame) error {
		f, err := same.add(f)
		if err != nil {
			return err
		}
		j.seen.Wrote += f.NumRows()
		j.tell()
		return w.Write(ctx, &stages.Rows{Value: f, Rows: int(f.NumRows()), Epoch: epoch})
	}
	if err := write(frame.Empty(j.schema.files)); err != nil { // the columns, should there be no row
		return nil, nil, err
	}
	r := j.read(ctx, d.merged)
	defer r.close()
	if len(j.Sort) > 0 {
		err = j.sorted(ctx, r, write)
	} else {
		err = each(ctx, r, write)
	}
	if err != nil {
		return nil, nil, err
	}
	if parts, err = w.Prepare(ctx, epoch); err != nil {
		return nil, nil, err
	}
	rows := int64(0)
	for _, p := range parts {
		rows += p.Rows
		if dirOf(p.Path) != d.path && j.how != ToPlace {
			return nil, nil, fmt.Errorf("directory %s would be called %s: its name is not written as rpipe does", d.path, dirOf(p.Path))
		}
	}
	if rows != d.rows {
		return nil, nil, fmt.Errorf("%d rows were read and %d written: nothing is published", d.rows, rows)
	}
	return parts, r.nulls, nil
}

func each(ctx context.Context, r *rows, emit func(frame.Frame) error) error {
	for {
		f, err := r.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = emit(f)
		}
		if err != nil {
			return err
		}
	}
}
