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
	"github.com/rpipe-dev/rpipe/server"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

const referenceIntro = `Every key of a pipeline file. This page is made from the structs that decode the
file: ` + "`make docs`" + ` writes it again. [pipelines.md](pipelines.md) shows how to use them.

Sizes are written as ` + "`4096`, `64KiB`, `16MiB` or `1.5GB`" + `, durations as ` + "`500ms`, `5s` or `1h30m`" + `.
A value may hold ` + "`${name}` or `${name:default}`" + `.`

const proxyIntro = `Every key of a proxy.yaml. This page is made from the structs that decode the
file: ` + "`make docs`" + ` writes it again. [proxy.md](proxy.md) shows how to use them.

Sizes are written as ` + "`4096`, `64KiB`, `16MiB` or `1.5GB`" + `, durations as ` + "`500ms`, `5s` or `1h30m`" + `.
A value may hold ` + "`${name}` or `${name:default}`" + `.`

const serveIntro = `Every key of an rpipe.yaml, the configuration of ` + "`rpipe serve`" + `. All of it is
optional. This page is made from the structs that decode the file: ` + "`make docs`" + ` writes it
again. [tasks.md](tasks.md) shows how to use them.

Sizes are written as ` + "`4096`, `64KiB`, `16MiB` or `1.5GB`" + `, durations as ` + "`500ms`, `5s` or `1h30m`" + `.
A value may hold ` + "`${name}` or `${name:default}`" + `.`

const restIntro = `Everything that ` + "`rpipe serve`" + ` answers. This page is made from the table of routes and the
types of documents, as is the OpenAPI 3.1 description at ` + "`/openapi.json`" + `: ` + "`make docs`" + ` writes
it again. [tasks.md](tasks.md) shows how to use it.

Documents are JSON. Times are RFC 3339 in UTC. A duration goes out as seconds and comes in
as seconds or as text, such as ` + "`90`, `\"90s\"` or `\"1h30m\"`" + `; a size goes out as bytes and comes in as
bytes or as text, such as ` + "`\"64MiB\"`" + `. A value is an R value as JSON, by the rules of jsonlite
(a vector of one element is a scalar, a data.frame an array of rows, NA null), or where JSON
cannot hold it, in one of three forms:

| Form | Stands for |
| --- | --- |
| ` + "`{\"$r\": base64}`" + ` | what R's serialize() made |
| ` + "`{\"$ref\": reference}`" + ` | a value that was stored by PUT /v1/values |
| ` + "`{\"$task\": id}`" + ` | an argument: the result of a task, or the list of those of a job |

Who asks from the server's own machine as its own user needs no token, unless it is set up
so; others show one, as ` + "`Authorization: Bearer rpt_…`" + `. What belongs to another owner is not
found. Errors have a status of 4xx or 5xx and are a [Fault](rest-documents.md#fault). Requests that are not
understood (an unknown field or parameter, too) are refused, never guessed at.`

const documentsIntro = `What goes into and comes out of the [REST API](rest.md), as JSON. Fields that are absent or
empty are left out of answers.`

// TestReference: the reference pages say what the structs accept.
func TestReference(t *testing.T) {
	for _, page := range []struct {
		path, title, intro string
		file               any
	}{
		{"docs/reference.md", "Reference", referenceIntro, new(pipeline.File)},
		{"docs/reference-proxy.md", "Reference of proxy.yaml", proxyIntro, new(proxy.File)},
		{"docs/reference-serve.md", "Reference of rpipe.yaml", serveIntro, new(server.File)},
	} {
		var text bytes.Buffer
		if err := configs.Reference(&text, page.file, configs.ReferenceOptions{Title: page.title, Intro: page.intro}); err != nil {
			t.Fatal(err)
		}
		same(t, page.path, text.Bytes())
	}
	var rest bytes.Buffer
	if err := api.Reference(&rest, restIntro); err != nil {
		t.Fatal(err)
	}
	same(t, "docs/rest.md", rest.Bytes())
	rest.Reset()
	if err := api.Documents(&rest, documentsIntro); err != nil {
		t.Fatal(err)
	}
	same(t, "docs/rest-documents.md", rest.Bytes())
}

// TestSchema: the schemas in docs are what rpipe schema prints.
func TestSchema(t *testing.T) {
	for name, args := range map[string][]string{
		"docs/schema.json": {"schema"}, "docs/schema-proxy.json": {"schema", "proxy"}, "docs/schema-serve.json": {"schema", "serve"},
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
	for _, file := range []any{new(pipeline.File), new(proxy.File), new(server.File)} {
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
