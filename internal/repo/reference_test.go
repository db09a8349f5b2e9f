package repo

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
)

const referenceIntro = `Every key of a pipeline file. This page is made from the structs that decode the
file: ` + "`make docs`" + ` writes it again. [pipelines.md](pipelines.md) shows how to use them.

Sizes are written as ` + "`4096`, `64KiB`, `16MiB` or `1.5GB`" + `, durations as ` + "`500ms`, `5s` or `1h30m`" + `.
A value may hold ` + "`${name}` or `${name:default}`" + `.`

// TestReference: docs/reference.md says what the structs accept.
func TestReference(t *testing.T) {
	var page bytes.Buffer
	err := configs.Reference(&page, new(pipeline.File), configs.ReferenceOptions{
		Title: "Reference", Intro: referenceIntro,
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "docs/reference.md", page.Bytes())
}

// TestSchema: docs/schema.json is what rpipe schema prints.
func TestSchema(t *testing.T) {
	schema, err := run(t, root, program, "schema")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "docs/schema.json", []byte(schema))
}

// TestAudit: every key has a name, a meaning and a default of its type.
func TestAudit(t *testing.T) {
	for _, finding := range configs.Audit(new(pipeline.File)) {
		t.Error(finding)
	}
}

// same compares a file with what it should hold; -update writes it.
func same(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make docs writes it", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date; make docs writes it again", name)
	}
}
