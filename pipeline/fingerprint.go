package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// fingerprint tells, of all that decides the output of a run, whether it is the
// same as before: the pipeline file with its variables filled in, R files, the
// pieces of the input, datasets. Values are hashes, since variables may be secret.
func (r *Run) fingerprint(ctx context.Context) (map[string]string, error) {
	f := r.file
	prints := map[string]string{"the pipeline file": f.print}
	for name, print := range f.variables {
		prints["variable "+name] = print
	}
	for _, s := range f.R.Source {
		b, err := os.ReadFile(f.resolve(s))
		if err != nil {
			return nil, &ConfigError{File: f.Path, At: f.doc.Place("r.source"), Path: "r.source", Err: err}
		}
		prints["R file "+s] = hash(string(b))
	}
	if i, ok := r.reader.(sources.Identifier); ok {
		for name, version := range i.Identity() {
			prints["input "+name] = version
		}
	}
	for _, s := range f.all() {
		d, ok := s.Use.(stages.Reads)
		if !ok {
			continue
		}
		ids, err := d.Identity(ctx, r.env)
		if err != nil {
			return nil, fmt.Errorf("state: look at a dataset: %w", err)
		}
		for name, version := range ids {
			prints["dataset "+name] = version
		}
	}
	return prints, nil
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}
