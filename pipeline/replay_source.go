package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// deadSource gives the rows of a replay, as they entered their stage.
type deadSource struct {
	replay *replaying
	of     sources.Source // the pipeline's own

	mu   sync.Mutex
	past []pastRow         // of each row that was given, in their order
	runs map[string]string // so that the rows of a run share its name
}

// pastRow is what is known of a row from the time when it failed.
type pastRow struct {
	run     string
	attempt int32
	row     int64 // in the stage's input, from 1; 0 where it is not known
}

// Open implements sources.Source.
func (s *deadSource) Open(ctx context.Context, env *stages.Env, _ string) (sources.Reader, error) {
	r := &deadReader{source: s}
	var err error
	if s.replay.Raw {
		if r.parser, err = s.reparse(ctx, env); err != nil {
			return nil, err
		}
	}
	if r.files, err = openDead(ctx, env, s.replay.Files, true); err != nil {
		return nil, err
	}
	return r, nil
}

// reparse makes the pipeline's source parse single records.
func (s *deadSource) reparse(ctx context.Context, env *stages.Env) (*sources.Parser, error) {
	of, ok := s.of.(sources.Reparser)
	if !ok {
		return nil, errors.New("the source cannot parse the text of single records again: mend the input, and run the pipeline again")
	}
	p, err := of.Reparse(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("the input says what the columns of a record are: %w", err)
	}
	return p, nil
}

// schema is that of the rows.
func (s *deadSource) schema(ctx context.Context, env *stages.Env) (*frame.Schema, error) {
	r, err := s.Open(ctx, env, "")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Schema(), nil
}

// remember numbers a row that is given.
func (s *deadSource) remember(rows *deadRows, i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs == nil {
		s.runs = map[string]string{}
	}
	run := rows.text("run", i)
	if _, ok := s.runs[run]; !ok {
		s.runs[run] = run
	}
	s.past = append(s.past, pastRow{s.runs[run], int32(rows.whole("attempt", i, 0)), rows.whole("row", i, 0)})
}

// of is the past of n rows from first on, less those that are not known.
func (s *deadSource) pastOf(first, n int64) []pastRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first < 0 || first+n > int64(len(s.past)) {
		return nil
	}
	return s.past[first : first+n]
}

// deadReader implements sources.Reader.
type deadReader struct {
	source *deadSource
	files  sources.Reader
	parser *sources.Parser // of texts that never became rows; else nil
}

// Schema implements sources.Reader.
func (r *deadReader) Schema() *frame.Schema {
	if r.parser != nil {
		return r.parser.Schema()
	}
	return ownColumns(frame.Empty(r.files.Schema())).Schema()
}

// Size implements sources.Reader.
func (r *deadReader) Size() (s sources.Size) {
	if r.source.replay.Run != "" {
		return s
	}
	for _, f := range r.source.replay.Files {
		s.Rows += f.Rows
	}
	return s
}

// Close implements sources.Reader.
func (r *deadReader) Close() error { return r.files.Close() }

// Traits implements sources.Reader.
func (r *deadReader) Traits() sources.Traits { return sources.Traits{Ordered: true, Replayable: true} }

// Next implements sources.Reader. Rows that are not wanted go back to the dead
// letter, since their file is taken out as a whole.
func (r *deadReader) Next(ctx context.Context) (*sources.Read, error) {
	for {
		read, err := r.files.Next(ctx)
		if err != nil {
			return nil, err
		}
		given, err := r.choose(ctx, read)
		if given != nil || err != nil {
			return given, err
		}
	}
}

// choose gives the rows of a read that are wanted; nil for none.
func (r *deadReader) choose(ctx context.Context, read *sources.Read) (*sources.Read, error) {
	f, replay := read.Frame, r.source.replay
	rows := newDeadRows(f)
	var wanted, others []int32
	for i := range int(f.NumRows()) {
		if replay.Run != "" && rows.text("run", i) != replay.Run {
			others = append(others, int32(i))
			continue
		}
		wanted = append(wanted, int32(i))
	}
	if len(others) > 0 && replay.writer != nil {
		back, err := frame.Take(f, others)
		if err == nil {
			err = replay.writer.Keep(ctx, stages.FinalEpoch, &replay.Files[0], back)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	first := int64(len(r.source.past)) // this goroutine alone adds to it
	for _, i := range wanted {
		r.source.remember(rows, int(i))
	}
	out := &sources.Read{Bytes: read.Bytes}
	var err error
	if r.parser == nil {
		out.Frame = rows.own
		if len(others) > 0 {
			out.Frame, err = frame.Take(rows.own, wanted)
		}
		return out, err
	}
	texts := make([][]byte, len(wanted))
	for k, i := range wanted {
		texts[k] = rows.raw(int(i))
	}
	if out.Frame, out.Rejected, err = r.parser.Parse("dead letter", texts); err != nil {
		return nil, err
	}
	for _, bad := range out.Rejected {
		bad.First += first
	}
	return out, nil
}

// reject gives rows that failed again to add. Those that failed at the same stage
// keep the run and the number that they had; their attempts add up.
func (r *replaying) reject(ctx context.Context, rejected *stages.Rejected, add func(context.Context, *stages.Rejected) error) error {
	rows := int64(1)
	if rejected.Frame != nil {
		rows = rejected.Frame.NumRows()
	}
	var past []pastRow
	if rejected.Stage == r.Stage && r.rows != nil && !rejected.Drop {
		past = r.rows.pastOf(rejected.First, rows)
	}
	if past == nil {
		return add(ctx, rejected)
	}
	for from := 0; from < len(past); {
		to := from + 1
		for to < len(past) && past[to].continues(past[from], int64(to-from)) {
			to++
		}
		part := *rejected
		part.Batch = nil
		if rejected.Batch != nil {
			part.Epoch = rejected.Batch.Epoch
		}
		if rejected.Frame != nil {
			part.Frame = frame.Slice(rejected.Frame, from, to)
		}
		part.First, part.Run, part.Attempt = past[from].row-1, past[from].run, rejected.Attempt+int(past[from].attempt)
		if err := add(ctx, &part); err != nil {
			return err
		}
		from = to
	}
	if rejected.Batch != nil {
		rejected.Batch.Settle(nil)
	}
	return nil
}

// continues reports whether a row stands n behind another one in the same past.
func (p pastRow) continues(first pastRow, n int64) bool {
	sameRow := p.row == 0 && first.row == 0 || first.row > 0 && p.row == first.row+n
	return p.run == first.run && p.attempt == first.attempt && sameRow
}

// take makes the end of the run take the files out of the dead letter.
func (r *replaying) take(ctx context.Context, f *File, w *sinks.DeadLetterWriter) error {
	if w == nil {
		return nil
	}
	r.writer = w
	paths := make([]string, len(r.Files))
	for i, file := range r.Files {
		paths[i] = file.Path
	}
	w.Retire(paths)
	if f.resumes != nil {
		return nil
	}
	there, err := f.DeadLetter.Files(ctx, f.planEnv())
	if err != nil {
		return err
	}
	named := map[string]string{}
	for _, file := range there {
		named[file.Path] = file.SHA256
	}
	for _, file := range r.Files {
		if sum, ok := named[file.Path]; !ok || sum != file.SHA256 {
			return fmt.Errorf("dead letter: %s is not there any more: another replay or a compaction was here in the meantime; run the command again", file.Path)
		}
	}
	return nil
}
