package pipeline

import (
	"github.com/rpipe-dev/rpipe/configs"
)

// Unshared finds what a file says of a pool of its own, which a run or a service
// on a shared one does not look at. The problems are warnings.
func (f *File) Unshared() configs.Problems {
	if !f.NeedsR() {
		return nil
	}
	var ps configs.Problems
	say := func(path string, set bool, there string) {
		if set {
			p := f.doc.Problem(path, "does nothing here: the R workers are those of a pool that others use too", "say it of the pool: "+there)
			p.Warning = true
			ps = append(ps, p)
		}
	}
	var without R
	configs.SetDefaults(&without)
	r := &f.R
	say("r.workers", r.Workers != without.Workers, "min, max, idle_timeout")
	say("r.recycle", r.Recycle != without.Recycle, "recycle")
	say("r.limits.memory", r.Limits.Memory != without.Limits.Memory, "recycle.max_memory")
	say("r.start_timeout", r.StartTimeout != without.StartTimeout, "start_timeout")
	say("r.grace", r.Grace != without.Grace, "grace")
	return ps
}
