package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// Replay is rows of the dead letter that are to be run again together: those of
// one stage with one set of columns, in the files of one directory.
type Replay struct {
	Stage string
	Dir   string // in the dead letter
	Run   string // only the rows of this run; "" is all
	Raw   bool   // texts of records that never became rows
	Files []sinks.DeadFile
}

func (r *Replay) String() string {
	rows := int64(0)
	for _, f := range r.Files {
		rows += f.Rows
	}
	switch {
	case r.Run != "":
		return fmt.Sprintf("the rows of run %s that failed in %s", r.Run, r.Stage)
	case rows == 0: // it is gone on with, and the files may be gone
		return "the rows that failed in " + r.Stage + ", which is on record and goes on"
	}
	return fmt.Sprintf("%s that failed in %s", plural(int(rows), "row"), r.Stage)
}

// Replays are the rows of the dead letter that the filter takes, in the order of
// the stages. Files without such a row are left alone.
func (f *File) Replays(ctx context.Context, filter DeadFilter) ([]*Replay, error) {
	d, err := f.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	if filter.Stage != "" && !slices.Contains(d.Stages(), filter.Stage) && len(d.files) > 0 {
		return nil, fmt.Errorf("dead letter %s: no row of a stage %q; %s", d.Path, filter.Stage, configs.DidYouMean(filter.Stage, d.Stages()))
	}
	var all []*Replay
	for _, files := range d.directories(filter.Stage) {
		r := &Replay{Stage: files[0].Stage(), Dir: files[0].Dir(), Raw: files[0].Raw(), Run: filter.Run, Files: files}
		if filter.Run != "" {
			if err := r.chooseFiles(ctx, d.env); err != nil {
				return nil, err
			}
		}
		if len(r.Files) > 0 {
			all = append(all, r)
		}
	}
	spots := f.spots()
	slices.SortStableFunc(all, func(a, b *Replay) int { return spots[a.Stage].compare(spots[b.Stage]) })
	return all, nil
}

// chooseFiles leaves out those that have no row of the run.
func (r *Replay) chooseFiles(ctx context.Context, env *stages.Env) error {
	var with []sinks.DeadFile
	for _, file := range r.Files {
		has := false
		err := readDead(ctx, env, []sinks.DeadFile{file}, false, func(f frame.Frame) error {
			rows := newDeadRows(f)
			for i := 0; i < int(f.NumRows()) && !has; i++ {
				has = rows.text("run", i) == r.Run
			}
			return nil
		})
		if err != nil {
			return err
		}
		if has {
			with = append(with, file)
		}
	}
	r.Files = with
	return nil
}

// replaying is a file that has been narrowed to a replay.
type replaying struct {
	Replay
	entry spot // where the rows go in

	rows   *deadSource             // nil where all is read
	writer *sinks.DeadLetterWriter // nil in a dry run
}

// ForReplay is the pipeline that runs the rows again: what stands before their
// stage is left out, their files are its source, and its sinks add to what is
// there. It refuses what would give wrong results.
func (f *File) ForReplay(ctx context.Context, r *Replay) (*File, error) {
	g, err := f.narrow(r)
	if err != nil {
		return nil, err
	}
	env := f.planEnv().For("source")
	defer env.Close()
	schema, err := g.replay.rows.schema(ctx, env)
	if err != nil {
		return nil, f.cannotReplay(r, err)
	}
	p := &Plan{from: -1}
	specs, labels := g.Stages, g.Labels[:len(g.Stages)]
	for _, b := range g.branches() {
		if g.replay.entry.branch >= 0 {
			specs, labels = b.stages, b.labels
		}
	}
	for i, s := range specs {
		out, err := p.planStage(ctx, g, s, schema)
		if err != nil && schema != nil {
			return nil, f.cannotReplay(r, fmt.Errorf("%s cannot take the columns %s: %w", labels[i], columnNames(schema), err))
		}
		schema = out
	}
	return g, nil
}

func columnNames(s *frame.Schema) string {
	var names []string
	for _, c := range columns(s) {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// cannotReplay is an error about the file and the rows together.
func (f *File) cannotReplay(r *Replay, err error) error {
	return &ConfigError{File: f.Path, At: f.doc.Place("dead_letter"), Path: "replay", Err: fmt.Errorf("the rows that failed in %s: %w", r.Stage, err)}
}

// narrow leaves out what the rows do not pass.
func (f *File) narrow(r *Replay) (*File, error) {
	entry, known := f.spots()[r.Stage]
	if !known || entry.sink {
		return nil, f.cannotReplay(r, fmt.Errorf("the pipeline has no stage of this label; %s; name the stage so again, or leave these rows with --stage",
			f.labelHint(r.Stage, spot.stage)))
	}
	if entry.branch < 0 {
		for i := max(0, entry.index); i < len(f.Stages); i++ {
			if gathers(f.Stages[i].Use) {
				return nil, f.cannotReplay(r, fmt.Errorf("%s needs its whole input, and would see these rows alone; mend what made them fail, and run the pipeline again", f.Labels[i]))
			}
		}
	}
	g := *f
	g.replay = &replaying{Replay: *r, entry: entry}
	g.replay.rows = &deadSource{replay: g.replay, of: f.Source.Use}
	g.Source.Use = g.replay.rows
	if entry.branch < 0 {
		from := max(0, entry.index)
		g.Stages, g.Labels = f.Stages[from:], f.Labels[from:]
	} else {
		g.Stages, g.Labels = nil, f.Labels[len(f.Stages):]
	}
	if f.Sink != nil {
		g.Sink = &SinkSpec{Use: sinks.Appending(f.Sink.Use)}
	}
	g.Sinks = slices.Clone(f.Sinks)
	for i := range g.Sinks {
		g.Sinks[i].Use = sinks.Appending(g.Sinks[i].Use)
	}
	return &g, nil
}

// gathers reports whether what a stage gives depends on all of its rows.
func gathers(t stages.Transform) bool {
	if w, ok := t.(stages.Windowed); ok && w.Windowed() {
		return true
	}
	b, ok := t.(stages.Blocking)
	return ok && b.Blocks()
}

// Replaying says what a file that ForReplay has made runs again.
func (f *File) Replaying() string {
	if f.replay == nil {
		return ""
	}
	return f.replay.String()
}

// narrowed are the branches that the rows of a replay get to.
func (r *replaying) narrowed(all []branch) []branch {
	if r == nil || r.entry.branch < 0 {
		return all
	}
	b := all[r.entry.branch]
	if from := r.entry.index; from >= 0 {
		b.when = ""
		b.stages, b.labels = b.stages[from:], b.labels[from:]
	}
	return []branch{b}
}

// index is where the i-th stage of a list stands in that of the whole file.
func (r *replaying) index(path string, i int) int {
	if r == nil || (path == "stages") != (r.entry.branch < 0) {
		return i
	}
	return i + max(0, r.entry.index)
}

// LoadUnfinishedReplay loads a file for the replay that died while it published;
// nil where there is none. Run it with Options.Resume.
func LoadUnfinishedReplay(ctx context.Context, path string, vars map[string]string) (*File, configs.Problems, error) {
	return Given{Vars: vars}.LoadUnfinishedReplay(ctx, path)
}

// LoadUnfinishedReplay loads a file as the function LoadUnfinishedReplay does.
func (g Given) LoadUnfinishedReplay(ctx context.Context, path string) (*File, configs.Problems, error) {
	f, problems := g.Load(path)
	if f == nil || len(problems.Errors()) > 0 || f.DeadLetter == nil {
		return nil, problems, nil
	}
	state, err := f.replayState()
	if err != nil {
		return nil, problems, err
	}
	j, err := state.Journal(ctx)
	if err != nil {
		return nil, problems, &EnvironmentError{Err: err}
	}
	if j == nil || j.Replay == nil {
		return nil, problems, nil
	}
	g.Run = j.Run
	f, problems = g.load(path, j.Scheduled)
	if len(problems.Errors()) > 0 {
		return nil, problems, nil
	}
	r := &Replay{Stage: j.Replay.Stage, Dir: j.Replay.Dir, Run: j.Replay.Run}
	for _, path := range j.Replay.Files {
		r.Files = append(r.Files, sinks.DeadFile{Part: sinks.Part{Path: path}, Scheduled: j.Times})
	}
	narrow, err := f.narrow(r)
	if err != nil {
		return nil, problems, err
	}
	narrow.resumes = j
	return narrow, problems, nil
}

// replayState is where replays of the dead letter keep their journal.
func (f *File) replayState() (*journal.Dir, error) {
	g := *f
	g.Name += "+replay"
	return g.State()
}
