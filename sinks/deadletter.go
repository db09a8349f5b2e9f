package sinks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/stages"
)

// DeadLetter keeps the rows that failed, in Parquet files that can be read again
// as the stage's input. Rows of one stage and one set of columns share a
// directory, <path>/<stage>/<fingerprint of the columns>, since a Parquet file
// has one schema; the fingerprint is raw where the input never became rows.
//
// Each file has the columns of DeadLetterColumns and then the row's own. A
// replay reads the directory of a stage and drops the columns that begin with
// _rpipe_. The files of all runs stay: if_exists is append.
type DeadLetter struct {
	Path string `yaml:"path" required:"true" doc:"A directory for the rows that failed, on disk or on S3 as s3://bucket/prefix."`
}

// DeadPrefix begins the name of every column that the dead letter adds.
const DeadPrefix = "_rpipe_"

// DeadLetterColumns are the columns that stand before a failed row's own.
//
//	_rpipe_run, _rpipe_pipeline, _rpipe_stage   where it failed
//	_rpipe_time       when it was written
//	_rpipe_batch      number of the batch, from 0; NA from a source
//	_rpipe_row        number of the row in the stage's input, from 1; NA where unknown
//	_rpipe_error      the error's text
//	_rpipe_traceback  R's traceback, a call a line; NA for none
//	_rpipe_attempt    how often it was tried
//	_rpipe_whole      TRUE where rows failed together and it is not known which is at fault
//	_rpipe_raw        the input's bytes where they never became a row, else NA
var DeadLetterColumns = []arrow.Field{
	{Name: DeadPrefix + "run", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: DeadPrefix + "pipeline", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: DeadPrefix + "stage", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: DeadPrefix + "time", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
	{Name: DeadPrefix + "batch", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: DeadPrefix + "row", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: DeadPrefix + "error", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: DeadPrefix + "traceback", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: DeadPrefix + "attempt", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	{Name: DeadPrefix + "whole", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: DeadPrefix + "raw", Type: arrow.BinaryTypes.Binary, Nullable: true},
}

// Open prepares the directory for a run, and fails where it cannot be written.
// A run without failed rows leaves no trace in it.
func (d *DeadLetter) Open(ctx context.Context, env *stages.Env) (*DeadLetterWriter, error) {
	config := &Parquet{Path: d.Path, RowGroup: RowGroup{Rows: 10_000, Bytes: 8 << 20}, Files: Files{IfExists: existsAppend}}
	l := config.layout(strings.TrimSuffix(d.Path, "/") + "/") // a directory, whatever it is called
	l.anyDir = true
	w, err := openFiles(ctx, env, l, newParquetFormat(config, 1, env.Pace))
	if err != nil {
		return nil, err
	}
	return &DeadLetterWriter{files: w.(*fileWriter), env: env}, nil
}

// DeadLetterWriter takes the failed rows of one run. Its methods may be called
// by several goroutines. Prepare, Publish, Finish and Abort are those of Writer,
// but that Abort takes back also what Finish has committed, until Close: a run
// whose sink cannot finish leaves no dead letter either.
type DeadLetterWriter struct {
	env  *stages.Env
	rows atomic.Int64

	mu      sync.Mutex
	files   *fileWriter
	retired []string // files of before that Finish takes out
}

// Reject writes failed rows to the open parts of their batch's epoch.
func (w *DeadLetterWriter) Reject(ctx context.Context, r *stages.Rejected) error {
	f, own, err := w.frame(r)
	if err != nil {
		return &Error{Op: "write dead letter", Path: w.files.out.shown, Err: err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.files.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	number := r.Epoch
	if r.Batch != nil {
		number = r.Batch.Epoch
	}
	e, err := w.files.parts.epoch(number)
	if err != nil {
		return &Error{Op: "write dead letter", Path: w.files.out.shown, Err: err}
	}
	print := fingerprint(own)
	p := piece{
		dir:    partition.Escape(cmp.Or(r.Stage, "source")) + "/" + print,
		values: map[string]string{"stage": r.Stage, "schema": print},
		frame:  f,
	}
	if err := w.files.parts.add(e, p); err != nil {
		return err
	}
	w.rows.Add(f.NumRows())
	return nil
}

// Rows is how many rows were rejected so far.
func (w *DeadLetterWriter) Rows() int64 { return w.rows.Load() }

// Prepare is that of Writer.
func (w *DeadLetterWriter) Prepare(ctx context.Context, epoch uint64) ([]Part, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files.Prepare(ctx, epoch)
}

// Publish is that of Writer.
func (w *DeadLetterWriter) Publish(ctx context.Context, parts []Part) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files.Publish(ctx, parts)
}

// Finish is that of Writer; without failed rows it writes nothing. The directory
// stays locked until Close or Abort.
func (w *DeadLetterWriter) Finish(ctx context.Context, complete bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.retired) > 0 {
		return w.finishRetiring(ctx)
	}
	if before := w.ofTime(); len(before) > 0 {
		// For a while, since Abort may put them back.
		return w.files.out.retire(ctx, w.files.manifest(!complete), w.files.published, before, time.Now().Add(time.Hour))
	}
	if len(w.files.published) == 0 {
		return nil
	}
	return w.files.commit(ctx, complete)
}

// Close keeps what Finish has committed and removes everything else.
func (w *DeadLetterWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files.Abort()
}

// Abort is that of Writer, and takes back what Finish has committed.
func (w *DeadLetterWriter) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.files.ended {
		return nil
	}
	ctx, cancel := lastly()
	defer cancel()
	return errors.Join(w.files.out.revoke(ctx), w.files.Abort())
}

// Resume implements Resumer. The rows of the parts count as rejected.
func (w *DeadLetterWriter) Resume(ctx context.Context, parts []Part, state json.RawMessage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.files.Resume(ctx, parts, state); err != nil {
		return err
	}
	for _, p := range parts {
		w.rows.Add(p.Rows)
	}
	return nil
}

// State implements Resumer.
func (w *DeadLetterWriter) State() (json.RawMessage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files.State()
}

// Announce implements Resumer; without failed rows it writes nothing.
func (w *DeadLetterWriter) Announce(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files.Announce(ctx)
}

// Suspend implements Resumer.
func (w *DeadLetterWriter) Suspend() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files.Suspend()
}

// frame puts the columns about the failure before the rows' own.
func (w *DeadLetterWriter) frame(r *stages.Rejected) (f frame.Frame, own *frame.Schema, err error) {
	n := 1
	if r.Frame != nil {
		n = int(r.Frame.NumRows())
	}
	b := frame.NewBuilderSize(arrow.NewSchema(DeadLetterColumns, nil), n)
	now, message := time.Now().UnixMicro(), "no error was given"
	if r.Err != nil {
		message = r.Err.Error()
	}
	for i := range n {
		b.Column(0).AppendString(cmp.Or(r.Run, w.env.Run))
		b.Column(1).AppendString(w.env.Pipeline)
		b.Column(2).AppendString(r.Stage)
		b.Column(3).AppendInt64(now)
		if r.Batch != nil {
			b.Column(4).AppendInt64(int64(r.Batch.Seq))
		} else {
			b.Column(4).AppendNull()
		}
		if r.First >= 0 {
			b.Column(5).AppendInt64(r.First + int64(i) + 1)
		} else {
			b.Column(5).AppendNull()
		}
		b.Column(6).AppendString(strings.ToValidUTF8(message, "\ufffd"))
		if len(r.Traceback) > 0 {
			b.Column(7).AppendString(strings.ToValidUTF8(strings.Join(r.Traceback, "\n"), "\ufffd"))
		} else {
			b.Column(7).AppendNull()
		}
		b.Column(8).AppendInt32(int32(r.Attempt))
		b.Column(9).AppendBool(r.Whole)
		if r.Frame == nil {
			b.Column(10).AppendBytes(r.Raw)
		} else {
			b.Column(10).AppendNull()
		}
	}
	if f, err = b.Frame(); err != nil || r.Frame == nil {
		return f, nil, err
	}
	fields, cols := slices.Clone(DeadLetterColumns), slices.Clone(f.Columns())
	var ownFields []arrow.Field
	for i, field := range r.Frame.Schema().Fields() {
		if strings.HasPrefix(field.Name, DeadPrefix) {
			continue // of a dead letter that is replayed and failed again
		}
		ownFields = append(ownFields, field)
		cols = append(cols, r.Frame.Column(i))
	}
	s := arrow.NewSchema(append(fields, ownFields...), nil)
	return frame.New(s, cols, n), arrow.NewSchema(ownFields, nil), nil
}

// fingerprint tells sets of columns apart, by names, types and order.
func fingerprint(s *frame.Schema) string {
	if s == nil {
		return "raw"
	}
	b, _ := json.Marshal(columnsOf(s)) // strings only: it cannot fail
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:4])
}
