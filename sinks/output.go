package sinks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// output is what one run writes: the files of a place, or one file in it. It
// holds the rules that are the same for all places.
type output struct {
	place  place
	shown  string // the path as the user wrote it
	file   string // the name of the single file; "" for a directory
	ext    string
	format string   // its name
	run    string   // the run's id, fit for a file name
	nonce  string   // tells parts of one run apart that a restart made anew
	times  []string // scheduled times that the run's rows are for; nil for none
	again  string   // of these the one whose rows of before go; "" for none
	anyDir bool     // files may stand in directories of any name, not only col=value
	kind   string   // exists… what if_exists says
	resume bool     // earlier processes of this run were here
	log    *slog.Logger
	pace   func() *stages.Pace // of what writes one part

	me     owner
	before owner // who had the place and left something, or may have

	there map[string]int64 // data files when the run began, and their bytes
	old   *manifest        // of the runs before this one; nil for none
	// strays are data files that by their name rpipe wrote and that no manifest
	// names, though no run is known to have died here.
	strays []string
	// complete says that replacing would remove output of runs that read all of
	// their input.
	complete bool

	moved     []string  // files that this run made visible
	deferred  []Part    // the single file, where it is replaced in the end
	announced bool      // the manifest names files of this run, which is not finished
	committed bool      // the manifest names this run's files
	base      *manifest // as it was before this run
}

// openOutput takes the place, checks if_exists, and removes what dead runs left.
// Where it refuses, everything stays as it was.
func openOutput(ctx context.Context, l *layout, fm format, env *stages.Env) (_ *output, err error) {
	o := &output{
		shown: l.path, ext: fm.ext(), format: fm.name(), anyDir: l.anyDir, kind: l.IfExists, log: env.Log,
		run: fileSafe(env.Run), nonce: nonce(4), resume: env.Resume, me: newOwner(env), pace: env.Pace,
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.kind == "" {
		o.kind = existsError
	}
	if o.times = env.Scheduled; env.Again && len(o.times) == 1 {
		o.again = o.times[0]
	}
	if store.IsURL(l.path) {
		o.place, err = openBucket(ctx, l, o, env)
	} else {
		o.place, err = openDirectory(l, o, env.Dir)
	}
	if err != nil {
		return nil, err
	}
	var left *owner
	defer func() {
		if err != nil {
			ctx, cancel := lastly()
			defer cancel()
			_ = o.place.leave(ctx, left)
		}
	}()
	o.before, err = o.place.take(ctx, o.me)
	o.me.Unclean = o.before.runs()
	if errors.Is(err, errTwice) {
		return nil, &Error{Op: "open", Path: o.shown, Err: err, Hint: "give each its own path"}
	}
	if errors.Is(err, ErrLocked) {
		return nil, &Error{Op: "open", Path: o.shown, Err: err, Hint: "wait until it is done, or set another path"}
	}
	if err != nil {
		return nil, failed("write to", o.shown, err)
	}
	if o.before.Run != "" {
		refused := o.before
		refused.Released = true
		left = &refused
	}
	return o, o.begin(ctx, env.Limited)
}

// begin looks at what is there, and clears away what dead runs left.
func (o *output) begin(ctx context.Context, limited bool) (err error) {
	if o.old, err = o.readManifest(ctx); err != nil {
		return err
	}
	if err := o.finishReplace(ctx); err != nil {
		return err
	}
	if err := o.removeRetired(ctx); err != nil {
		return err
	}
	o.setApart()
	uncommitted, err := o.checkExisting(ctx, limited)
	if err != nil {
		return err
	}
	restored, err := o.restoreSingle(ctx)
	if err == nil {
		err = o.sweepOthers(ctx)
	}
	if err != nil {
		return failed("write to", o.shown, err)
	}
	if restored || o.before.Run != "" && o.place.remote() {
		// Until the sweep the other could complete what it had begun.
		if uncommitted, err = o.checkExisting(ctx, limited); err != nil {
			return err
		}
	}
	return o.removeUncommitted(ctx, uncommitted)
}

// setApart takes this run's own files out of the manifest of the others, where
// an earlier process of it has announced them.
func (o *output) setApart() {
	if o.old != nil && o.old.Taken != "" {
		o.old.Taken, o.announced = "", true
		if len(o.old.Files) == 0 {
			o.old = nil
		}
	}
	o.base = o.old
	if !o.resume || o.old == nil {
		return
	}
	own := func(f manifestFile) bool { return f.Run == o.me.Run }
	if !slices.ContainsFunc(o.old.Files, own) {
		return
	}
	o.announced = true
	m := *o.old
	m.Files = slices.DeleteFunc(slices.Clone(m.Files), own)
	o.old, o.base = &m, &m
	if len(m.Files) == 0 {
		o.base = nil
	} else {
		m.Run = m.Files[len(m.Files)-1].Run
		m.sum()
	}
}

// part names a new part.
func (o *output) part(epoch uint64, n int, dir string, partition map[string]string) Part {
	name := o.file
	if name == "" {
		name = fmt.Sprintf("%s-%05d-%05d-%s%s", o.run, epoch, n, o.nonce, o.ext)
	}
	if dir != "" {
		name = dir + "/" + name
	}
	return Part{Path: name, Partition: partition, Epoch: epoch}
}

// partPattern is the shape of the names that part gives.
var partPattern = regexp.MustCompile(`^(.+)-\d{5,}-\d{5,}-[0-9a-f]{8}(\..+)$`)

// makes reports whether a file of that name may be one that this output makes.
func (o *output) makes(name string) bool {
	if name == o.manifestFile() {
		return true
	}
	if o.file != "" {
		return name == o.file || name == o.file+secondName
	}
	m := partPattern.FindStringSubmatch(name)
	return m != nil && m[2] == o.ext
}

// sweepOthers removes what other runs began and did not publish. The place is
// ours, so none of them is alive, or none may go on.
func (o *output) sweepOthers(ctx context.Context) error {
	dropped, _, err := o.place.sweep(ctx, func(l leftover) bool { return l.run != o.run && o.makes(l.name) })
	if len(o.before.runs()) > 0 && err == nil {
		dropped += o.place.abortListed(ctx, func(path, _ string) bool {
			run := runOf(path)
			return run != o.run && o.died(run) && o.inOutput(path)
		})
	}
	if dropped > 0 {
		o.log.Info("removed unpublished files of runs that did not finish, which cannot be resumed any more", "files", dropped, "path", o.place.root())
	}
	return err
}

// sweepOwn removes what this run began and did not publish, but for what is kept by id.
func (o *output) sweepOwn(ctx context.Context, keep map[string]bool) (kept map[string]bool, err error) {
	_, kept, err = o.place.sweep(ctx, func(l leftover) bool { return l.run == o.run && o.makes(l.name) && !keep[l.id] })
	if err == nil {
		o.place.abortListed(ctx, func(path, id string) bool { return runOf(path) == o.run && o.inOutput(path) && !keep[id] })
	}
	return kept, err
}

// died reports whether the lock tells that a run died here, or left.
func (o *output) died(run string) bool {
	return slices.ContainsFunc(o.before.runs(), func(died string) bool { return fileSafe(died) == run })
}

// fileSafe makes a run's id fit for a file name on every system.
func fileSafe(id string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return '_'
	}, id)
	s = strings.TrimLeft(s, ".")
	if s == "" {
		return "run"
	}
	return s[:min(len(s), 80)]
}
