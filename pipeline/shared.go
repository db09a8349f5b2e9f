package pipeline

import (
	"runtime"

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

// ThreadsBeside is what GOMAXPROCS should be where pipelines run beside requests
// that somebody waits for: twice what it is. With as many as there are cores, a
// request would wait at each of its steps until a goroutine of a pipeline pauses,
// which may be 10 ms; with more the system's scheduler decides, which prefers who
// has slept.
func ThreadsBeside() int { return 2 * runtime.GOMAXPROCS(0) }

// parallel is how many CPU-bound goroutines a part of a run may use: beside others
// as many as half of the cores.
func parallel(o Options) int {
	if o.Pool != nil {
		return max(1, runtime.GOMAXPROCS(0)/4)
	}
	return runtime.GOMAXPROCS(0)
}
