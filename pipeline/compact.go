package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sinks/compact"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// sweep removes what compactions that died have left beside a local output, whose
// lock the run has.
func (r *Run) sweep(b branch, w sinks.Writer) {
	root, ok := w.(sinks.Rooted)
	if _, parquet := b.use.(*sinks.Parquet); !ok || !parquet || store.IsURL(root.Root()) {
		return
	}
	if dir, err := filepath.EvalSymlinks(root.Root()); err == nil {
		if err := compact.Sweep(dir); err != nil {
			r.log.Warn("what a compaction that died has left cannot be removed", "error", err)
		}
	}
}

// compacted makes few large files of the many small ones of the sinks that ask
// for it, once the run is committed and has let go of its outputs. The run's
// output is complete also where this fails.
func (r *Run) compacted(ctx context.Context) (reports []*compact.Report, err error) {
	for _, b := range r.file.branches() {
		p, ok := b.use.(*sinks.Parquet)
		if !ok || p.Compact == nil {
			continue
		}
		how := *p.Compact
		if how.Level == 0 {
			how.Level = p.Level
		}
		report, err := compact.Run(ctx, compact.Options{
			Env: &stages.Env{
				Pipeline: r.file.Name, Dir: r.file.Dir(), Parallel: runtime.GOMAXPROCS(0), Memory: int64(r.file.Memory) / 4,
				Log: r.log, S3: r.file.client(),
			},
			Path: p.Path, Compaction: how, Compression: p.Compression, RowGroup: p.RowGroup, Replace: true,
		})
		if err != nil {
			return reports, fmt.Errorf("%w; then: %s: %w", sinks.ErrCommitted, b.label, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}
