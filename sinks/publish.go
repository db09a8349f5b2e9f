package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// publish makes parts visible.
func (o *output) publish(ctx context.Context, parts []Part) error {
	for _, p := range parts {
		for _, rel := range []string{p.Path, p.Temp} {
			if rel != "" && !local(rel) {
				return &Error{Op: "publish", Path: o.shown, Err: fmt.Errorf("part %q is outside of the directory", rel)}
			}
		}
	}
	if err := o.place.holds(ctx); err != nil {
		return failed("publish to", o.shown, err)
	}
	if len(parts) == 0 {
		return nil
	}
	if _, replaced := o.there[o.file]; replaced && o.kind == existsReplace && o.file != "" && o.place.remote() {
		o.deferred = parts // it could not be put back
		return nil
	}
	replace := o.file != "" && o.kind == existsReplace && !o.place.remote()
	return failed("publish to", o.shown, o.place.publish(ctx, parts, replace, o.nowVisible))
}

// nowVisible remembers what undo takes back.
func (o *output) nowVisible(path string) {
	if !slices.Contains(o.moved, path) {
		o.moved = append(o.moved, path)
	}
}

// gone is the error for a part that is neither published nor to be found.
func gone(p Part) error {
	return fmt.Errorf("neither %s nor what it was to be made of is there: it was removed from outside, or by another run", p.Path)
}

// finish writes the manifest of the run's parts. What a replace retires is named
// in it first and deleted then, so that a crash in between leaves nothing twice:
// the next run deletes it. An error with ErrCommitted in its chain came after
// the commit, which is the manifest, or the replaced file itself where it cannot
// be put back.
func (o *output) finish(ctx context.Context, m *manifest, parts []Part) error {
	m.Files, m.Replaces = o.outcome(parts)
	m.add(parts)
	if err := o.place.holds(ctx); err != nil {
		return failed("publish to", o.shown, err)
	}
	if len(o.deferred) > 0 {
		if err := o.place.publish(ctx, o.deferred, true, func(string) {}); err != nil {
			return failed("publish to", o.shown, err)
		}
		o.committed, o.deferred = true, nil
	}
	replaced, err := o.writeManifest(ctx, m)
	if !replaced && !o.committed {
		return err
	}
	o.committed, o.old = true, m
	if err == nil {
		err = o.finishReplace(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w; then: %w", ErrCommitted, err)
	}
	return nil
}

// outcome is what if_exists makes of the files of the runs before: those that
// stay beside the parts, and those that go.
func (o *output) outcome(parts []Part) (stay []manifestFile, going []string) {
	stay = []manifestFile{}
	if o.old == nil {
		return stay, o.goingStrays()
	}
	fresh, written := map[string]bool{}, map[string]bool{}
	for _, p := range parts {
		fresh[p.Path], written[dirOf(p.Path)] = true, true
	}
	for _, f := range o.old.Files {
		switch {
		case fresh[f.Path]:
		case o.kind == existsReplace, o.kind == existsReplacePartitions && written[dirOf(f.Path)], o.ofTime(f):
			going = append(going, f.Path)
		default:
			stay = append(stay, f)
		}
	}
	return stay, append(going, o.goingStrays()...)
}

func (o *output) goingStrays() []string {
	if o.kind == existsReplace {
		return o.strays
	}
	return nil
}

// add names the run's parts.
func (m *manifest) add(parts []Part) {
	for _, p := range parts {
		p.Temp, p.Upload = "", nil
		m.Files = append(m.Files, manifestFile{Part: p, Run: m.Run, Partial: m.Partial, Scheduled: m.times})
	}
	partial := m.Partial
	m.sum()
	m.Partial = m.Partial || partial
}

// announce names in the manifest, beside the files of the runs before, the parts
// that are published and take no other file's place. Those that do are not named
// before finish: who reads by the manifest finds no row twice.
func (o *output) announce(ctx context.Context, m *manifest, parts []Part) error {
	_, going := o.outcome(parts)
	dirs := map[string]bool{}
	for _, path := range going {
		dirs[dirOf(path)] = true
	}
	parts = slices.DeleteFunc(slices.Clone(parts), func(p Part) bool {
		return len(going) > 0 && (o.kind == existsReplace || dirs[dirOf(p.Path)])
	})
	m.Files = []manifestFile{}
	if o.old != nil {
		m.Files = append(m.Files, o.old.Files...)
	}
	m.add(parts)
	if err := o.place.holds(ctx); err != nil {
		return failed("publish to", o.shown, err)
	}
	if len(parts) == 0 {
		return nil
	}
	replaced, err := o.writeManifest(ctx, m)
	o.announced = o.announced || replaced
	return err
}

// finishReplace deletes what the manifest says is replaced.
func (o *output) finishReplace(ctx context.Context) error {
	if o.old == nil || len(o.old.Replaces) == 0 {
		return nil
	}
	if err := o.place.holds(ctx); err != nil {
		return failed("delete a replaced file of", o.shown, err)
	}
	if err := o.place.remove(ctx, o.old.Replaces); err != nil {
		return failed("delete a replaced file of", o.shown, err)
	}
	o.old.Replaces = nil
	_, err := o.writeManifest(ctx, o.old)
	return err
}

// undo makes what the run has published invisible again, unless it is committed.
func (o *output) undo(ctx context.Context) error {
	if o.committed {
		return nil
	}
	var errs []error
	if o.announced {
		errs = append(errs, o.restore(ctx))
	}
	if len(o.moved) > 0 {
		errs = append(errs, failed("take back what was published to", o.shown, o.place.takeBack(ctx, o.moved)))
	}
	o.moved = nil
	return errors.Join(errs...)
}

// giveUp leaves a place that is another's, or of which that cannot be told:
// nothing there may be touched. The next run clears away what is of no use.
func (o *output) giveUp(ctx context.Context, err error) error {
	if errors.Is(err, ErrFenced) {
		err = nil
	}
	return errors.Join(failed("clear", o.shown, err), o.place.leave(ctx, nil))
}

// restore puts back the manifest of the runs before.
func (o *output) restore(ctx context.Context) error {
	var err error
	if o.base != nil {
		_, err = o.writeManifest(ctx, o.base)
	} else {
		err = failed("remove the manifest of", o.shown, o.place.remove(ctx, []string{o.manifestFile()}))
	}
	o.announced = err != nil
	return err
}

// revoke takes back a finish that deleted nothing: the manifest is the one of
// before, and undo takes back the files.
func (o *output) revoke(ctx context.Context) error {
	if !o.committed {
		return nil
	}
	err := o.restore(ctx)
	o.committed = err != nil
	return err
}

// dirOf is the directory of a slash-separated relative path; "" at the top.
func dirOf(rel string) string {
	i := strings.LastIndexByte(rel, '/')
	return rel[:max(i, 0)]
}
