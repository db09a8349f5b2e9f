package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// DeadLetters are the rows that failed and are in a dead letter.
type DeadLetters struct {
	Path  string // as the user wrote it
	env   *stages.Env
	files []sinks.DeadFile
}

// DeadFilter chooses rows. What is not set takes all.
type DeadFilter struct {
	Stage string
	Run   string
	Since time.Time
}

// DeadLetters opens the pipeline's dead letter for reading.
func (f *File) DeadLetters(ctx context.Context) (*DeadLetters, error) {
	if f.DeadLetter == nil {
		return nil, &ConfigError{File: f.Path, At: f.doc.Place(""), Path: "dead_letter", Err: errors.New("the file has no dead_letter block")}
	}
	d, err := openDeadLetters(ctx, f.DeadLetter, f.planEnv().For("dead_letter"))
	if errors.Is(err, sinks.ErrNoDeadLetter) {
		return nil, err
	}
	if err != nil {
		return nil, at(f, "dead_letter", err)
	}
	return d, nil
}

// DeadLettersAt opens the dead letter at a path, or at a prefix of S3.
func DeadLettersAt(ctx context.Context, path string) (*DeadLetters, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	env := &stages.Env{Dir: dir, Parallel: 1, S3: store.New(store.Config{}), Log: slog.New(slog.DiscardHandler)}
	return openDeadLetters(ctx, &sinks.DeadLetter{Path: path}, env.For("dead_letter"))
}

func openDeadLetters(ctx context.Context, d *sinks.DeadLetter, env *stages.Env) (*DeadLetters, error) {
	files, err := d.Files(ctx, env)
	var own *sinks.Error
	if errors.As(err, &own) { // which speaks of it as of an output
		err = fmt.Errorf("dead letter %s: %w", d.Path, own.Err)
		if own.Hint != "" {
			err = fmt.Errorf("%w; %s", err, own.Hint)
		}
	}
	if err != nil {
		return nil, err
	}
	return &DeadLetters{Path: d.Path, env: env, files: files}, nil
}

// Directories are the files of the stages that the filter takes, those with the
// same columns together, in the order of their names.
func (d *DeadLetters) directories(stage string) [][]sinks.DeadFile {
	var all [][]sinks.DeadFile
	at := map[string]int{}
	for _, f := range d.files {
		if stage != "" && f.Stage() != stage {
			continue
		}
		i, known := at[f.Dir()]
		if !known {
			i = len(all)
			at[f.Dir()] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], f)
	}
	for _, files := range all {
		slices.SortFunc(files, func(a, b sinks.DeadFile) int { return strings.Compare(a.Path, b.Path) })
	}
	slices.SortFunc(all, func(a, b []sinks.DeadFile) int { return strings.Compare(a[0].Dir(), b[0].Dir()) })
	return all
}

// Stages are the labels of the stages that have rows there.
func (d *DeadLetters) Stages() (labels []string) {
	for _, f := range d.files {
		if !slices.Contains(labels, f.Stage()) {
			labels = append(labels, f.Stage())
		}
	}
	slices.Sort(labels)
	return labels
}

// Each hands over the rows that the filter takes, the oldest run first within a
// stage. own says whether the rows' own columns are wanted as well.
func (d *DeadLetters) Each(ctx context.Context, filter DeadFilter, own bool, do func(*DeadRow) error) error {
	if filter.Stage != "" && !slices.Contains(d.Stages(), filter.Stage) && len(d.files) > 0 {
		hint := configs.DidYouMean(filter.Stage, d.Stages())
		return fmt.Errorf("dead letter %s: no row of a stage %q; %s", d.Path, filter.Stage, hint)
	}
	for _, files := range d.directories(filter.Stage) {
		err := readDead(ctx, d.env, files, own, func(f frame.Frame) error {
			rows := newDeadRows(f)
			for i := range int(f.NumRows()) {
				if row := rows.at(i); filter.takes(row) {
					if err := do(row); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *DeadFilter) takes(r *DeadRow) bool {
	return (f.Run == "" || r.Run == f.Run) && (f.Since.IsZero() || !r.Time.Before(f.Since))
}

// readDead reads files of one directory.
func readDead(ctx context.Context, env *stages.Env, files []sinks.DeadFile, own bool, emit func(frame.Frame) error) error {
	r, err := openDead(ctx, env, files, own)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		read, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("dead letter: %w", err)
		}
		if err := emit(read.Frame); err != nil {
			return err
		}
	}
}

func openDead(ctx context.Context, env *stages.Env, files []sinks.DeadFile, own bool) (sources.Reader, error) {
	s := &sources.Parquet{Partitions: "off", Manifest: "off"}
	for _, f := range files {
		s.Path = append(s.Path, f.File)
	}
	if !own {
		for _, c := range sinks.DeadLetterColumns {
			s.Columns = append(s.Columns, c.Name)
		}
	}
	r, err := s.Open(ctx, env, "")
	if err != nil {
		return nil, fmt.Errorf("dead letter: %w", err)
	}
	return r, nil
}

// DeadRow is one row that failed.
type DeadRow struct {
	Run       string
	Pipeline  string
	Stage     string
	Time      time.Time
	Batch     int64 // from 0; -1 where it is not known
	Row       int64 // in the stage's input, from 1; 0 where it is not known
	Error     string
	Traceback []string
	Attempt   int32
	Whole     bool   // rows failed together, and it is not known which is at fault
	Raw       []byte // the text, where it never became a row

	Own   frame.Frame // the rows beside which it stands, with their own columns
	Index int         // its place in Own
}

// deadRows reads rows of a frame.
type deadRows struct {
	all frame.Frame
	own frame.Frame
}

func newDeadRows(f frame.Frame) *deadRows { return &deadRows{all: f, own: ownColumns(f)} }

// ownColumns leaves out what the dead letter has added.
func ownColumns(f frame.Frame) frame.Frame {
	n := len(sinks.DeadLetterColumns)
	names := make([]string, 0, f.NumCols())
	for i, field := range f.Schema().Fields() {
		if i >= n || !strings.HasPrefix(field.Name, sinks.DeadPrefix) {
			names = append(names, field.Name)
		}
	}
	own, err := frame.Select(f, names)
	if err != nil { // they are its own
		panic(err)
	}
	return own
}

func (d *deadRows) text(name string, i int) string {
	col, _, ok := frame.Lookup(d.all, sinks.DeadPrefix+name)
	if a, is := col.(*array.String); ok && is && !a.IsNull(i) {
		return a.Value(i)
	}
	return ""
}

func (d *deadRows) whole(name string, i int, missing int64) int64 {
	col, _, ok := frame.Lookup(d.all, sinks.DeadPrefix+name)
	if !ok || col.IsNull(i) {
		return missing
	}
	switch a := col.(type) {
	case *array.Int64:
		return a.Value(i)
	case *array.Int32:
		return int64(a.Value(i))
	case *array.Timestamp:
		return int64(a.Value(i))
	}
	return missing
}

func (d *deadRows) at(i int) *DeadRow {
	r := &DeadRow{
		Run: d.text("run", i), Pipeline: d.text("pipeline", i), Stage: d.text("stage", i),
		Time: time.UnixMicro(d.whole("time", i, 0)).UTC(), Batch: d.whole("batch", i, -1), Row: d.whole("row", i, 0),
		Error: d.text("error", i), Attempt: int32(d.whole("attempt", i, 0)), Raw: d.raw(i), Own: d.own, Index: i,
	}
	if t := d.text("traceback", i); t != "" {
		r.Traceback = strings.Split(t, "\n")
	}
	if col, _, ok := frame.Lookup(d.all, sinks.DeadPrefix+"whole"); ok {
		a, is := col.(*array.Boolean)
		r.Whole = is && !a.IsNull(i) && a.Value(i)
	}
	return r
}

func (d *deadRows) raw(i int) []byte {
	col, _, ok := frame.Lookup(d.all, sinks.DeadPrefix+"raw")
	if a, is := col.(*array.Binary); ok && is && !a.IsNull(i) {
		return a.Value(i)
	}
	return nil
}
