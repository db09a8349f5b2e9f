package configs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"
)

const schemaID = "https://example.org/pipeline.schema.json"

// validator makes a validator of the fixture's schema as an editor would.
func validator(t testing.TB) func(text string) error {
	t.Helper()
	text, err := Schema(new(pipelineFile), schemaID)
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) error {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return err
		}
		return resolved.Validate(value)
	}
}

func TestSchemaAcceptsWhatDecodeAccepts(t *testing.T) {
	validate := validator(t)
	f := func(text string) {
		t.Helper()
		if _, problems := read(text); problems.Err() != nil {
			t.Errorf("%s\nis wrong itself: %v", text, problems)
		}
		if err := validate(text); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	f(minimal)
	f(everything)
	f(minimal + "x-anchors: {a: [1]}\n")
	f(minimal + "memory: 4194304\nlabels: {a: 1, b: true}\n")
	f(minimal + "r:\n  workers: {min: \"${N}\", idle: \"${N}s\"}\n  share: ${M:0.5}\n  seed: ${N}\n  level: info\n")
	f(minimal + "r:\n")
	f(minimal + "r: {workers: }\n")
	f(minimal + "r: {workers: {idle: 90s, max: 3}, source: [a.R, b.R], env: {A: b}}\n")
	f(minimal + "sink: {parquet: {path: x, columns: [{name: a}], compression: \"${C:none}\"}}\n")
	f(minimal + "stages:\n  - batch:\n  - batch: {bytes: 1.5 GB, period: 0}\n  - filter: x > 1\n  - filter: {where: x > 1}\n  - derive: {a: 1, b: x + 1}\n")
	f(minimal + "stages:\n  - join: {table: t.csv, on: id}\n  - join: {table: [t.csv], on: [id, day]}\n  - join: {table: {path: t}, on: {id: key}}\n  - join: {table: {csv: {path: t}}, on: id}\n")
	f("version: 1\nsource: {rows: {data: [{a: 1}, [2]]}}\n")
}

func TestSchemaRefusesWhatDecodeRefuses(t *testing.T) {
	validate := validator(t)
	f := func(text string) {
		t.Helper()
		if _, problems := read(text); problems.Err() == nil {
			t.Errorf("%s\nis right", text)
		}
		if err := validate(text); err == nil {
			t.Errorf("%s\nis accepted", text)
		}
	}
	stage := func(text string) string { return minimal + "stages:\n  - " + text + "\n" }
	f("[]\n")
	f("version: 1\n")
	f("version: 2\nsource: {rows: }\n")
	f("version: one\nsource: {rows: }\n")
	f("version: \"1\"\nsource: {rows: }\n")
	f("version: 1\nsource: {}\n")
	f("version: 1\nsource:\n")
	f("version: 1\nsource: {csv: }\n")
	f("version: 1\nsource: {csv: {path: []}}\n")
	f("version: 1\nsource: {csv: {path: a}, rows: {}}\n")
	f("version: 1\nsource: {excel: {path: a}}\n")
	f(minimal + "nmae: x\n")
	f(minimal + "memory: 16M\n")
	f(minimal + "memory: -1\n")
	f(minimal + "labels: {a: 1, b: 2, c: 3}\n")
	f(minimal + "labels: {a: [1]}\n")
	f(minimal + "r: {share: 2}\n")
	f(minimal + "r: {source: {a: b}}\n")
	f(minimal + "r: {workers: {idle: 90}}\n")
	f(minimal + "r: {workers: {idle: 1w}}\n")
	f(minimal + "r: {x-a: 1}\n")
	f(minimal + "dead_letter:\n")
	f(stage("batch"))
	f(stage("map:"))
	f(stage("map: {fun: ''}"))
	f(stage("map: {fun: f, rows: sme}"))
	f(stage("map: {fun: f, ordered: maybe}"))
	f(stage("map: {fun: f}\n    filter: x"))
	f(stage("mapp: {fun: f}"))
	f(stage("join: {table: {}, on: id}"))
	f(stage("join: {table: {path: t, csv: {path: t}}, on: id}"))
	f(stage("join: {table: t, on: []}"))
	f(stage("join: {table: t, on: {}}"))
	f(stage("derive: {}"))
	f(stage("derive:"))
	f(stage("filter: [a]"))
	f(stage("split: {when: x, stages: []}"))
	f(stage("split: {when: x, stages: [{batch: {row: 1}}]}"))
	f(minimal + "sink: {parquet: {path: x, columns: [{}]}}\n")
	f(minimal + "sink: {parquet: {path: x, columns: [null]}}\n")
}

// The files that are wrong on purpose are so for an editor too, those at least
// that are YAML and whose variables are not the only trouble.
func TestSchemaOnTheLintFiles(t *testing.T) {
	validate := validator(t)
	for _, name := range []string{"keys.yaml", "values.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata/lint", name))
		if err != nil {
			t.Fatal(err)
		}
		if validate(string(text)) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestSchemaIsStable(t *testing.T) {
	text, err := Schema(new(pipelineFile), schemaID)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/schema.json", text)
	if _, err := Schema(new(int), schemaID); err == nil {
		t.Error("a schema of an int")
	}
}
