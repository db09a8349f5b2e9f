package server

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

func (s *Server) getInfo(w http.ResponseWriter, r *http.Request, who *who) error {
	counts, err := s.queue.Counts(r.Context(), who.Who, index.Filter{})
	if err != nil {
		return err
	}
	x := s.index.Status()
	out := api.Info{
		Name: "rpipe", Version: s.version, API: "v1", Started: s.started, Owner: who.Owner, Cluster: len(s.file.NATS.URLs) > 0,
		MaxBody: api.Size(s.limits.Load().Body), MaxValue: api.Size(s.limits.Load().Value), MaxInline: tasks.MaxInline,
		States: statesOf(counts), Index: api.IndexStatus{Ready: !x.Rebuilding, Seq: x.Seq},
	}
	if x.Last > x.Seq {
		out.Index.Behind = x.Last - x.Seq
	}
	if !out.Cluster {
		out.Durability = s.file.Durability
	}
	for _, scope := range who.scopes {
		out.Scopes = append(out.Scopes, string(scope))
	}
	return writeJSON(w, 200, &out)
}

// backup copies the store while it is in use.
func (s *Server) backup(w http.ResponseWriter, r *http.Request, who *who) error {
	var in api.BackupRequest
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	if !filepath.IsAbs(in.Dir) || filepath.Clean(in.Dir) != in.Dir {
		return invalidField("dir", "must be an absolute path on the server's machine, without . and .. in it")
	}
	changes(r, in.Dir)
	if entries, err := os.ReadDir(in.Dir); err == nil && len(entries) > 0 {
		return &api.Fault{Status: http.StatusConflict, Code: "conflict", Field: "dir", Message: in.Dir + " is not empty: give a new directory"}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return invalidField("dir", err.Error())
	}
	start := time.Now()
	if err := s.broker.Backup(r.Context(), in.Dir); err != nil {
		return err
	}
	out := api.Backup{Dir: in.Dir, Took: api.Duration(time.Since(start))}
	err := filepath.WalkDir(in.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		out.Bytes += info.Size()
		return err
	})
	if err != nil {
		return err
	}
	s.log.Info("the store was copied", "to", in.Dir, "bytes", out.Bytes, "by", who.Owner)
	return writeJSON(w, 200, &out)
}

func (s *Server) getDescription(w http.ResponseWriter, r *http.Request, _ *who) error {
	text, err := api.Description(s.version)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", api.JSON)
	w.Write(text)
	return nil
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request, _ *who) error {
	s.metrics.Handler().ServeHTTP(w, r)
	return nil
}

func writeText(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(text))
	return nil
}
