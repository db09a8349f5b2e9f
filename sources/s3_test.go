package sources

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// upload puts the files below a directory into a new bucket.
func upload(t *testing.T, dir string) (*store.Client, string) {
	t.Helper()
	server := s3test.Start(t)
	client, bucket := server.Client(t), server.Bucket(t)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		_, err = client.Put(t.Context(), store.Location{Bucket: bucket, Key: filepath.ToSlash(rel)}, data, store.Condition{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, "s3://" + bucket + "/"
}

// What holds for files holds for objects.
func TestConformanceS3(t *testing.T) {
	var remote []subject
	var client *store.Client
	var bucket string
	for _, s := range subjects(t) {
		if !slices.Contains([]string{"csv", "csv compressed", "csv bad rows", "ndjson", "ndjson partitions", "parquet", "parquet files", "parquet partitions", "rds"}, s.name) {
			continue
		}
		if client == nil {
			client, bucket = upload(t, s.dir)
		}
		s.s3, s.dir = client, ""
		for _, source := range []Source{s.full, s.empty} {
			paths := pathsOf(source)
			for i, p := range *paths {
				(*paths)[i] = bucket + p
			}
		}
		remote = append(remote, s)
	}
	conform(t, remote)
}

func pathsOf(s Source) *Paths {
	switch s := s.(type) {
	case *CSV:
		return &s.Path
	case *NDJSON:
		return &s.Path
	case *Parquet:
		return &s.Path
	}
	return &s.(*RDS).Path
}

func TestPathsS3(t *testing.T) {
	local := files(t, "b.csv", "x\n2\n", "a.csv", "x\n1\n", "sub/c.csv", "x\n3\n", "sub/deep/d.csv.gz", "x\n4\n", "sub.csv", "x\n6\n",
		".hidden.csv", "x\n", "_SUCCESS.csv", "x\n", "sub/.tmp/e.csv", "x\n", "sub/note.txt", "x\n", "odd[1].csv", "x\n5\n",
		"made/_manifest.json", manifestOf("csv", "", "2.csv"), "made/1.csv", "x\n7\n", "made/2.csv", "x\n8\n")
	client, bucket := upload(t, local.Dir)
	env := &stages.Env{S3: client, Dir: local.Dir}
	f := func(path string, want ...string) {
		t.Helper()
		found, err := find(t.Context(), env, "", search{paths: Paths{bucket + path}, suffixes: compressedNames(".csv")})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found.files {
			got = append(got, strings.TrimPrefix(f.name, bucket))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	f("b.csv", "b.csv")
	f("?.csv", "a.csv", "b.csv")
	f("a*", "a.csv")
	f("odd[1].csv", "odd[1].csv")
	f("**/*.csv*", "a.csv", "b.csv", "made/1.csv", "made/2.csv", "odd[1].csv", "sub.csv", "sub/c.csv", "sub/deep/d.csv.gz")
	f("sub/**/*.gz", "sub/deep/d.csv.gz")
	f("sub", "sub/c.csv", "sub/deep/d.csv.gz")
	f("sub/", "sub/c.csv", "sub/deep/d.csv.gz")
	f("made", "made/2.csv")
	f("made/*", "made/1.csv", "made/2.csv")
	f("", "a.csv", "b.csv", "made/1.csv", "made/2.csv", "odd[1].csv", "sub.csv", "sub/c.csv", "sub/deep/d.csv.gz")

	bad := func(want, path string) {
		t.Helper()
		_, err := find(t.Context(), env, "", search{paths: Paths{path}, suffixes: []string{".csv"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
	bad("c.csv: there is no such object, and none below it; did you mean a.csv, b.csv?", bucket+"c.csv")
	bad("sbu: there is no such object, and none below it; did you mean sub?", bucket+"sbu")
	bad("*.tsv: no file matches", bucket+"*.tsv")
	bad("a [ needs its ]", bucket+"[.csv")
	bad("s3://nowhere-"+strings.Trim(bucket[5:], "/"), "s3://nowhere-"+bucket[5:]+"a.csv")
	bad("no file in this directory ends in .csv", bucket+"sub/deep")
}

// A run that is resumed must notice an object that was replaced.
func TestIdentityChanges(t *testing.T) {
	local := files(t, "a.csv", "x\n1\n")
	client, bucket := upload(t, local.Dir)
	identity := func(env *stages.Env, path string) string {
		t.Helper()
		r, err := csvOf(CSV{Path: Paths{path}}).Open(t.Context(), env, "")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		return r.(Identifier).Identity()[path]
	}
	remote := &stages.Env{S3: client}
	disk, object := identity(local, "a.csv"), identity(remote, bucket+"a.csv")
	if err := os.WriteFile(filepath.Join(local.Dir, "a.csv"), []byte("x\n2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	at, err := store.Parse(bucket + "a.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(t.Context(), at, []byte("x\n2\n"), store.Condition{}); err != nil {
		t.Fatal(err)
	}
	if again := identity(local, "a.csv"); again == disk {
		t.Errorf("a file that was written again is still %s", again)
	}
	if again := identity(remote, bucket+"a.csv"); again == object {
		t.Errorf("an object that was written again is still %s", again)
	}
}
