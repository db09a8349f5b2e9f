package server

import (
	"net/http"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// maxCells is how many parts of a job one answer has.
const maxCells = 1000

// getCells answers with the states of a job's tasks in parts of equal size.
func (s *Server) getCells(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	job, err := s.queue.Job(r.Context(), who.Who, id)
	if err != nil {
		return missing(err, "job", id)
	}
	q := r.URL.Query()
	from, err := intOf(q, "from", 1, job.N)
	if err != nil {
		return err
	}
	to, err := intOf(q, "to", 1, job.N)
	if err != nil {
		return err
	}
	n, err := intOf(q, "cells", 1, maxCells)
	if err != nil {
		return err
	}
	from = max(from, 1)
	if to == 0 {
		to = job.N
	}
	if to < from {
		return invalidField("to", "is before from")
	}
	if n == 0 {
		n = 500
	}
	out := api.Cells{From: from, To: to, Size: roundUp((to - from + n) / n)}
	counts, err := s.index.Cells(r.Context(), id, from, to, out.Size)
	if err != nil {
		return err
	}
	out.Cells = make([]map[string]int64, len(counts))
	for i, c := range counts {
		out.Cells[i] = statesOf(map[tasks.State]int64(c))
	}
	return writeJSON(w, 200, &out)
}

// roundUp is the next of 1, 2, 5, 10, 20, 50, …
func roundUp(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, k := range []int{1, 2, 5} {
			if k*unit >= n {
				return k * unit
			}
		}
	}
}
