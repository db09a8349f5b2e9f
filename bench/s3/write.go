//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/store"
)

// writer writes rows in the ways that are compared.
type writer struct {
	program string
	dir     string
	client  *store.Client
	bucket  store.Location // and no key

	rows   int   // of the file that is in the directory
	object int64 // bytes of the Parquet that was written last
}

// bytesOfRow is what a row takes in a batch: two numbers of 8 bytes and one of 4,
// texts of 10 and 90 bytes, and 4 for the end of each.
const bytesOfRow = 8 + 8 + 4 + 10 + 90 + 2*4

const pipeline = `version: 1
s3: {endpoint: "%s", region: us-east-1, access_key_id: "%s", secret_access_key: "%s"}
source: {range: {from: 3000000000, rows: %d, column: id}}
stages:
  - derive:
      user: "CAST(hash(id) %% 100000 AS INTEGER)"
      amount: "(hash(id + 1) %% 1000000000000) / 1000000"
      country: "'country-' || (10 + hash(id + 2) %% 50)"
      note: "'what the customer has written on the form, which most leave as it was: ring the bell - ' || (100 + hash(id + 3) %% 500)"
sink: {parquet: {path: "%s", if_exists: replace}}
`

// run has rpipe write rows that are megabytes in its batches.
func (w *writer) run(megabytes int, path string) (bench.Process, error) {
	c := w.client.Config()
	file := filepath.Join(w.dir, "pipeline.yaml")
	yaml := fmt.Sprintf(pipeline, c.Endpoint, string(c.AccessKeyID), string(c.SecretAccessKey), rowsOf(megabytes), path)
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return bench.Process{}, err
	}
	return bench.Execute(w.program, "run", file, "--progress", "none")
}

func rowsOf(megabytes int) int { return megabytes * 1e6 / bytesOfRow }

// remote writes to the bucket.
func (w *writer) remote(megabytes int) (bench.Process, error) {
	if err := w.clear(); err != nil {
		return bench.Process{}, err
	}
	to := w.bucket.Join("rows.parquet")
	p, err := w.run(megabytes, to.String())
	if err != nil {
		return p, err
	}
	o, err := w.client.Stat(context.Background(), to)
	w.object = o.Size
	return p, err
}

// local writes to the disk.
func (w *writer) local(megabytes int) (bench.Process, error) {
	p, err := w.run(megabytes, w.file())
	w.rows = rowsOf(megabytes)
	return p, err
}

func (w *writer) file() string { return filepath.Join(w.dir, "rows.parquet") }

// upload sends the file that local has written, or writes it first.
func (w *writer) upload(megabytes int) (bench.Process, error) {
	if w.rows != rowsOf(megabytes) {
		if _, err := w.local(megabytes); err != nil {
			return bench.Process{}, err
		}
	}
	if err := w.clear(); err != nil {
		return bench.Process{}, err
	}
	f, err := os.Open(w.file())
	if err != nil {
		return bench.Process{}, err
	}
	defer f.Close()
	start := time.Now()
	u, err := w.client.Upload(context.Background(), w.bucket.Join("rows.parquet"), nil)
	if err != nil {
		return bench.Process{}, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{u}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	if err != nil {
		return bench.Process{}, err
	}
	pending, err := u.Close()
	if err != nil {
		return bench.Process{}, err
	}
	err = w.client.Complete(context.Background(), w.bucket.Join("rows.parquet"), pending, n, true)
	return bench.Process{Took: time.Since(start)}, err
}

// clear empties the bucket: what is there is not what is measured, and disks are
// small.
func (w *writer) clear() error {
	var all []store.Location
	for o, err := range w.client.List(context.Background(), w.bucket) {
		if err != nil {
			return err
		}
		all = append(all, o.Location)
	}
	return w.client.Delete(context.Background(), all...)
}
