package repo

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/internal/program"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy"
)

const referenceIntro = `Every key of a pipeline file. This page is made from the structs that decode the
file: ` + "`make docs`" + ` writes it again. [pipelines.md](pipelines.md) shows how to use them.

Sizes are written as ` + "`4096`, `64KiB`, `16MiB` or `1.5GB`" + `, durations as ` + "`500ms`, `5s` or `1h30m`" + `.
A value may hold ` + "`${name}` or `${name:default}`" + `.`

const proxyIntro = `Every key of a proxy.yaml. This page is made from the structs that decode the
file: ` + "`make docs`" + ` writes it again. [proxy.md](proxy.md) shows how to use them.

Sizes are written as ` + "`4096`, `64KiB`, `16MiB` or `1.5GB`" + `, durations as ` + "`500ms`, `5s` or `1h30m`" + `.
A value may hold ` + "`${name}` or `${name:default}`" + `.`

// TestReference: the reference pages say what the structs accept.
func TestReference(t *testing.T) {
	for _, page := range []struct {
		path, title, intro string
		file               any
	}{
		{"docs/reference.md", "Reference", referenceIntro, new(pipeline.File)},
		{"docs/reference-proxy.md", "Reference of proxy.yaml", proxyIntro, new(proxy.File)},
	} {
		var text bytes.Buffer
		if err := configs.Reference(&text, page.file, configs.ReferenceOptions{Title: page.title, Intro: page.intro}); err != nil {
			t.Fatal(err)
		}
		same(t, page.path, text.Bytes())
	}
}

// TestSchema: the schemas in docs are what rpipe schema prints.
func TestSchema(t *testing.T) {
	for name, args := range map[string][]string{
		"docs/schema.json": {"schema"}, "docs/schema-proxy.json": {"schema", "proxy"},
	} {
		schema, err := run(t, root, program.Path, args...)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, []byte(schema))
	}
}

// TestAudit: every key has a name, a meaning and a default of its type.
func TestAudit(t *testing.T) {
	for _, file := range []any{new(pipeline.File), new(proxy.File)} {
		for _, finding := range configs.Audit(file) {
			t.Error(finding)
		}
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
