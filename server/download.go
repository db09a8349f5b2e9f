package server

import (
	"archive/zip"
	"compress/flate"
	"encoding/csv"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// downloadJob answers with a zip of what there is: the values for readRDS(), and a table
// of what became of the tasks.
func (s *Server) downloadJob(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	job, err := s.queue.Job(r.Context(), who.Who, id)
	if err != nil {
		return missing(err, "job", id)
	}
	names, err := s.queue.Names(r.Context(), job)
	if err != nil {
		return err
	}
	base := fileName(job)
	w.Header().Set("Content-Type", api.Zip)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": base + ".zip"}))
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	var table strings.Builder
	rows := csv.NewWriter(&table)
	rows.Write([]string{"n", "id", "element", "state", "started", "ended", "attempts", "file", "cause", "message"})
	width := len(strconv.Itoa(job.N))
	err = s.queue.Results(r.Context(), who.Who, id, queue.ResultsOptions{From: 1}, func(n int, t *tasks.Task) error {
		file := ""
		if t.State == tasks.Complete {
			file = fmt.Sprintf("%s/results/%0*d.rds", base, width, n)
			if err := s.addRDS(z, r, file, t); err != nil {
				return err
			}
		}
		row := []string{strconv.Itoa(n), t.ID(), element(names, n), string(t.State), stamp(t.Started), stamp(t.Ended), strconv.Itoa(t.Attempt), file, "", ""}
		if t.Failure != nil && t.State != tasks.Complete {
			row[8], row[9] = t.Failure.Cause, t.Failure.Message
		}
		return rows.Write(row)
	})
	if err == nil {
		rows.Flush()
		var f io.Writer
		if f, err = z.CreateHeader(&zip.FileHeader{Name: base + "/summary.csv", Method: zip.Deflate, Modified: time.Now()}); err == nil {
			_, err = io.WriteString(f, table.String())
		}
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return &begunError{err}
	}
	return nil
}

func (s *Server) addRDS(z *zip.Writer, r *http.Request, name string, t *tasks.Task) error {
	value, _, err := s.queue.Open(r.Context(), t.Result)
	if err != nil {
		return err
	}
	defer value.Close()
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: t.Ended})
	if err != nil {
		return err
	}
	_, err = io.Copy(f, value)
	return err
}

// fileName is the name of a job, as far as it can be one of a file.
func fileName(j *tasks.Job) string {
	name := strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '_'
	}, j.Name)
	if name = strings.Trim(name, "._"); name == "" {
		return j.ID
	}
	return name[:min(len(name), 100)]
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
