package sinks

import "context"

// restoreSingle puts back the single file that is committed, where a run renamed
// its own over it and died before its manifest was written.
func (o *output) restoreSingle(ctx context.Context) (restored bool, err error) {
	if o.file == "" || o.kind != existsReplace || o.place.remote() {
		return false, nil
	}
	var runs []string
	_, _, err = o.place.sweep(ctx, func(l leftover) bool {
		if l.name == o.file+secondName && l.run != o.run && !o.commits(l.run) {
			runs = append(runs, l.run)
		}
		return false
	})
	for _, run := range runs {
		if err == nil {
			err = o.place.putBack(run)
		}
	}
	if err == nil && len(runs) > 0 {
		o.log.Info("put back the file that a run replaced and did not commit before it died", "path", o.shown, "run", runs[0])
	}
	return len(runs) > 0, err
}

// commits reports whether the manifest names files of a run.
func (o *output) commits(run string) bool {
	return o.old != nil && fileSafe(o.old.Run) == run
}
