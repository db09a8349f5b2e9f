package compact

import "time"

// Report is what a compaction did, or with DryRun would do.
type Report struct {
	Path   string `json:"path"`
	To     string `json:"to,omitempty"`
	How    string `json:"how"` // ToPlace, Exchange or Beside
	DryRun bool   `json:"dry_run,omitempty"`

	Rows        int64  `json:"rows"`
	Directories int    `json:"directories"` // of partitions; 1 where there are none
	Before      Extent `json:"before"`
	After       Extent `json:"after"`   // with DryRun: of the files that would stay
	Merged      int    `json:"merged"`  // files that were read
	Written     int    `json:"written"` // files that took their place; unknown (0) with DryRun
	Kept        int    `json:"kept"`    // files that were large enough

	Columns []string `json:"columns,omitempty"` // that some files did not have
	Widened []string `json:"widened,omitempty"` // columns whose type was not the same in all files

	// Until is when the old files may go, where they stay for a while.
	Until   *time.Time    `json:"until,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Extent is a number of files and their bytes.
type Extent struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

func (e *Extent) add(bytes int64) {
	e.Files++
	e.Bytes += bytes
}

// Changed reports whether there was anything to do.
func (r *Report) Changed() bool { return r.Merged > 0 }

// Progress is how far a compaction is.
type Progress struct {
	Step  string // looking, merging, sorting, publishing
	Rows  int64  // that are to be written anew
	Read  int64  // rows
	Wrote int64  // rows, handed to the writer
	Files int    // that are to be written anew
	Since time.Time
}

// step tells of the next part of the work.
func (j *job) step(name string) {
	j.seen.Step, j.seen.Since = name, j.start
	j.tell()
}

func (j *job) tell() {
	if j.Options.Progress != nil {
		j.Options.Progress(j.seen)
	}
}
