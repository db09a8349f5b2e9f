package pipeline

import (
	"context"
	"fmt"
	"runtime"

	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sinks/compact"
	"github.com/rpipe-dev/rpipe/stages"
)

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
