package configs

import (
	"math"
	"strings"
	"testing"
)

// minimal is a file without problems; cases add to it.
const minimal = "version: 1\nsource: {csv: {path: a.csv}}\n"

func TestProblems(t *testing.T) {
	// f says what the problems of a file are, a line each: place, path, message
	// and hint.
	f := func(text string, want ...string) {
		t.Helper()
		_, problems := read(text)
		if got := problems.Error(); got != strings.Join(want, "\n") {
			t.Errorf("%s\n got:\n%s\nwant:\n%s", text, got, strings.Join(want, "\n"))
		}
	}
	stage := func(text string) string { return minimal + "stages:\n  - " + text + "\n" }

	f(minimal)

	// Required keys, at the key of the struct that lacks them.
	f("version: 1\n", `p.yaml:1:1: source: is required (Where rows come from.)`)
	f("version: 1\nsource: {}\n", `p.yaml:2:1: source: names none of csv, rows`)
	f("version: 1\nsource:\n", `p.yaml:2:1: source: names none of csv, rows`)
	f("version:\nsource: {rows: }\n", `p.yaml:1:1: version: is required (The version of the grammar.)`)
	f(stage("map: {rows: same}"), `p.yaml:4:5: stages[0].map.fun: is required (such as fun: predict_delay)`)
	f(stage("map:"), `p.yaml:4:5: stages[0].map.fun: is required (such as fun: predict_delay)`)
	f(stage(`map: {fun: ""}`), `p.yaml:4:16: stages[0].map.fun: is empty (such as fun: predict_delay)`)
	f(stage("derive:"), `p.yaml:4:12: stages[0].derive: is empty (A SQL expression.)`)
	f("version: 1\nsource: {csv: {path: []}}\n", `p.yaml:2:22: source.csv.path: is empty (such as path: [data/*.csv])`)

	// A struct behind a pointer asks for what it requires once its key is there.
	f(minimal+"dead_letter:\n", `p.yaml:3:1: dead_letter.path: is required (A directory.)`)

	// Unknown keys: slips, then keys that belong elsewhere.
	f(minimal+"nmae: x\n", `p.yaml:3:1: nmae: unknown key (did you mean name?)`)
	f(minimal+"dead-letter: {}\n", `p.yaml:3:1: dead-letter: unknown key (did you mean dead_letter?)`)
	f(stage("map: {fn: x}"), `p.yaml:4:11: stages[0].map.fn: unknown key (did you mean fun?)`)
	f(stage("mpa: {fun: x}"), `p.yaml:4:5: stages[0].mpa: unknown key (did you mean map?)`)
	f(stage("map: {fun: x}\n    timeout: 1s"), `p.yaml:5:5: stages[0].timeout: unknown key (timeout belongs under map)`)
	f(minimal+"idle: 5m\n", `p.yaml:3:1: idle: unknown key (idle belongs under r.workers)`)
	f(minimal+"r: {idle: 5m}\n", `p.yaml:3:5: r.idle: unknown key (idle belongs under workers)`)
	f(minimal+"sink:\n  parquet: {path: x}\n  compression: none\n", `p.yaml:5:3: sink.compression: unknown key (compression belongs under parquet)`)
	f(stage("batch: {name: x}"), `p.yaml:4:13: stages[0].batch.name: unknown key (name belongs one level up, directly under stages[0])`)
	f(minimal+"r: {memory: 1GiB}\n", `p.yaml:3:5: r.memory: unknown key (memory belongs at the top of the file)`)
	f(stage("csv: {path: x}"), `p.yaml:4:5: stages[0].csv: unknown key (csv is a source or a sink, which goes under source or sink)`)
	f(minimal+"filter: x\n", `p.yaml:3:1: filter: unknown key (filter is a stage, which goes under stages[])`)
	f("version: 1\nsource: {parquet: {path: x}}\n", `p.yaml:2:10: source.parquet: unknown key (parquet is a sink, which goes under sink)`)
	f(minimal+"dead_letter: {path: x, zzz: 1}\n", `p.yaml:3:24: dead_letter.zzz: unknown key (there is path)`)
	f(minimal + "x-mine: {anything: [1]}\n")
	f(stage("map: {fun: x, x-mine: 1}"), `p.yaml:4:19: stages[0].map.x-mine: unknown key (there is fun, rows, ordered, timeout, returns, on_error, max_failed, retry)`)
	f(minimal+"Ignored: x\n", `p.yaml:3:1: Ignored: unknown key (there is version, name, memory, r, source, stages, sink, dead_letter, labels)`)

	// A union that may be a path instead, and pairs that may be names.
	f(stage("join: {table: t.csv, on: id}"))
	f(stage("join: {table: [t.csv, u.csv], on: [id, day]}"))
	f(stage("join: {table: {path: t.csv}, on: {id: key}}"))
	f(stage("join: {table: {csv: {path: t.csv}}, on: [id]}"))
	f(stage("join: {table: {}, on: id}"), `p.yaml:4:12: stages[0].join.table: names none of path, csv, rows`)
	f(stage("join: {table: {path: t, rows: }, on: id}"), `p.yaml:4:29: stages[0].join.table: names both path and rows (one of them is enough)`)
	f(stage("join: {on: id}"), `p.yaml:4:5: stages[0].join.table: is required (Where the columns come from.)`)
	f(stage("join: {table: t, on: []}"), `p.yaml:4:26: stages[0].join.on: is empty (such as on: [id])`)
	f(stage("join: {table: t, on: [id, null]}"), `p.yaml:4:31: stages[0].join.on[1]: is empty (quote it if the text "null" is meant)`)
	f(stage("join: {table: t, on: [[id]]}"), `p.yaml:4:27: stages[0].join.on[0]: must be a single value, not a list`)

	// Types.
	f("version: one\nsource: {rows: }\n", `p.yaml:1:10: version: "one" is not a whole number`)
	f("version: \"1\"\nsource: {rows: }\n", `p.yaml:1:10: version: "1" is text, not a whole number (take the quotes off)`)
	f("version: [1]\nsource: {rows: }\n", `p.yaml:1:10: version: must be a whole number, not a list`)
	f(stage("batch: {rows: 1.5}"), `p.yaml:4:19: stages[0].batch.rows: "1.5" is not a whole number`)
	f(stage("batch: {rows: 010}"), `p.yaml:4:19: stages[0].batch.rows: "010" is not a whole number`)
	f(stage("batch: {rows: 99999999999999999999}"), `p.yaml:4:19: stages[0].batch.rows: "99999999999999999999" is not a whole number`)
	f(stage("batch: {rows: 1e6}"))
	f(minimal+"r: {niceness: 200}\n", `p.yaml:3:15: r.niceness: "200" is too large`)
	f(minimal+"r: {workers: {max: -1}}\n", `p.yaml:3:20: r.workers.max: "-1" is out of range`)
	f(minimal+"r: {share: .inf}\n", `p.yaml:3:12: r.share: ".inf" is not a number`)
	f(stage("map: {fun: x, ordered: yes}"), `p.yaml:4:28: stages[0].map.ordered: "yes" is not true or false (write true)`)
	f(stage("map: {fun: x, ordered: \"${N}\"}"), `p.yaml:4:28: stages[0].map.ordered: "7" is not true or false`)
	f(stage("map: {fun: {a: b}}"), `p.yaml:4:16: stages[0].map.fun: must be a single value, not a mapping`)
	f(stage("map: x"), `p.yaml:4:10: stages[0].map: must be a mapping of keys to values, not a single value (such as {fun: …, rows: …, ordered: …})`)
	f(stage("batch"), `p.yaml:4:5: stages[0]: must be a mapping of keys to values, not a single value (write batch: with a colon)`)
	f(stage("[batch]"), `p.yaml:4:5: stages[0]: must be a mapping of keys to values, not a list (such as batch: …)`)
	f(minimal+"stages: {batch: {}}\n", `p.yaml:3:9: stages: must be a list, not a mapping`)
	f("version: 1\nsource: {csv: {path: a, na: NA}}\n", `p.yaml:2:29: source.csv.na: must be a list, not a single value (write [NA])`)
	f("version: 1\nsource: {csv: {path: a, na: [null, x]}}\n", `p.yaml:2:30: source.csv.na[0]: is empty (quote it if the text "null" is meant)`)
	f(minimal+"labels: [a]\n", `p.yaml:3:9: labels: must be a mapping of names to values, not a list`)
	f(minimal+"labels: {a: , b: [c]}\n",
		`p.yaml:3:10: labels.a: is empty`,
		`p.yaml:3:18: labels.b: must be a single value, not a list`)
	f(stage("map: {fun: x, returns: {a: [b], c: }}"),
		`p.yaml:4:32: stages[0].map.returns.a: must be a single value, not a list`,
		`p.yaml:4:37: stages[0].map.returns.c: is empty`)
	f(minimal+"r: {level: loud}\n", `p.yaml:3:12: r.level: "loud" is no log level`)
	f("[]\n", `p.yaml:1:1: must be a mapping of keys to values, not a list (such as {version: …, name: …, memory: …})`)

	// Sizes, durations, bounds, enums.
	f(stage("batch: {bytes: 16M}"), `p.yaml:4:20: stages[0].batch.bytes: "16M" is not a size (such as 4096, 64KiB, 16MiB or 1.5GB)`)
	f(stage("batch: {period: 5}"), `p.yaml:4:21: stages[0].batch.period: "5" has no unit (such as 500ms, 5s, 1h30m or 7d)`)
	f(stage("batch: {bytes: 1kB}"), `p.yaml:4:20: stages[0].batch.bytes: "1kB" is below the minimum of 1KiB`)
	f(minimal+"r: {workers: {idle: 2d}}\n", `p.yaml:3:21: r.workers.idle: "2d" is above the maximum of 1d`)
	f(minimal+"r: {share: 1.5}\n", `p.yaml:3:12: r.share: "1.5" is above the maximum of 1`)
	f("version: 2\nsource: {rows: }\n", `p.yaml:1:10: version: "2" is above the maximum of 1`)
	f("version: 1\nsource: {csv: {path: a, delimiter: ;;}}\n", `p.yaml:2:36: source.csv.delimiter: has 2 characters, at most 1 are allowed`)
	f(minimal+"labels: {a: 1, b: 2, c: 3}\n", `p.yaml:3:9: labels: has 3 entries, at most 2 are allowed`)
	f(stage("split: {when: x, stages: []}"), `p.yaml:4:30: stages[0].split.stages: has 0 entries, at least 1 are needed`)
	f(stage("map: {fun: x, rows: sme}"), `p.yaml:4:25: stages[0].map.rows: "sme" is not one of any, same (did you mean same?)`)
	f("version: 1\nsource: {csv: {path: a, types: {x: int, y: real}}}\n", `p.yaml:2:44: source.csv.types.y: "real" is not one of int, double, string`)

	// Components.
	f(stage("name: x"), `p.yaml:4:5: stages[0]: names none of batch, map, filter, derive, join, split`)
	f(stage("batch: {}\n    filter: x"), `p.yaml:5:5: stages[0]: names both batch and filter (one of them is enough; a list has a new item for each)`)
	f(stage("filter: 'x > 1'"))
	f(stage("filter: {where: 'x > 1'}"))
	f(stage("filter: [a]"), `p.yaml:4:13: stages[0].filter.where: must be a single value, not a list`)
	f(stage("batch:\n  - name: cut\n    batch:"))
	f(stage("split: {when: x, stages: [{map: {fun: f, row: any}}]}"), `p.yaml:4:46: stages[0].split.stages[0].map.row: unknown key (did you mean rows?)`)

	// Rules of the structs: errors, then warnings.
	f(minimal+"r: {workers: {min: 3, max: 2}}\n", `p.yaml:3:28: r.workers.max: is below min (leave it out for the number of cores)`)
	f(minimal+"r: {workers: {max: 200}}\n", `p.yaml:3:20: warning: r.workers.max: is more than most machines bear`)
	f(stage("batch: {rows: 0, period: 0}"), `p.yaml:4:5: stages[0].batch: has no limit (give at least one)`)
	f(stage("map: {fun: f, max_failed: 3}"), `p.yaml:4:31: stages[0].map.max_failed: does nothing with on_error: stop`)
	f(minimal+"sink: {parquet: {path: x, columns: [{name: a}, {name: row}]}}\n", `p.yaml:3:55: sink.parquet.columns[1].name: is taken (call it something else)`)

	// What has a problem already is not reported by rules that see its zero.
	f(stage("batch: {rows: 0, period: 0x}"), `p.yaml:4:30: stages[0].batch.period: "0x" is not a duration (such as 500ms, 5s, 1h30m or 7d)`)
	f(minimal+"r: {workers: {min: x, max: 200}}\n",
		`p.yaml:3:20: r.workers.min: "x" is not a whole number`,
		`p.yaml:3:28: warning: r.workers.max: is more than most machines bear`)

	// Variables take the type of their field.
	f(stage("batch: {rows: \"${N}\"}"))
	f(stage("batch:\n      rows: ${N}\n      period: ${N}s"))
	f(stage("batch: {rows: \"${EMPTY}\"}"))
	f(stage("batch: {rows: \"x${N}\"}"), `p.yaml:4:19: stages[0].batch.rows: "x7" is not a whole number`)
	f(stage("map: {fun: \"${F}\"}"), `p.yaml:4:16: stages[0].map.fun: ${F} has no value (set it with -v F=… or in the environment, or give it a default: ${F:…})`)
}

func TestDefaultsAndValues(t *testing.T) {
	f, problems := read(`version: 1
r: {source: model.R, seed: 0, env: {TOKEN: abc}, level: debug}
source:
  csv: {path: [a.csv, "b${N}.csv"], types: {x: int}}
stages:
  - batch:
  - name: score
    map:
      fun: f
      returns: {b: double, a: "1"}
      retry: {wait: 2s}
  - derive: {z: x + 1, a: 3}
  - filter: x > $${N}
labels: {one: 1, two: true}
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	equal := func(name string, got, want any) {
		t.Helper()
		if diff := cmpDiff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	equal("memory", f.Memory, Size(1<<30))
	equal("workers", f.R.Workers, workers{Min: 1, Idle: Duration(5 * minute)})
	equal("source", f.R.Source, []string{"model.R"})
	equal("seed", *f.R.Seed, int64(0))
	equal("env", f.R.Env, map[string]Secret{"TOKEN": "abc"})
	equal("level", f.R.Level, level(2))
	equal("csv", f.Source.Use, &csvSource{
		Path: []string{"a.csv", "b7.csv"}, Delimiter: ",", NA: []string{"NA", ""},
		Types: map[string]string{"x": "int"}, Failures: Failures{OnError: "stop"},
	})
	equal("place of source", f.Source.At, Position{3, 1})
	equal("batch", f.Stages[0].Use, &batchStage{Rows: 10000, Bytes: 16 << 20, Period: Duration(5 * second)})
	equal("name", f.Stages[1].Name, "score")
	equal("place of stage", f.Stages[1].At, Position{7, 5})
	equal("map", f.Stages[1].Use, &mapStage{
		Fun: "f", Rows: "any", Ordered: true, Failures: Failures{OnError: "stop"},
		Returns: Pairs{
			{Name: "b", Value: "double", Position: Position{10, 20}},
			{Name: "a", Value: "1", Quoted: true, Position: Position{10, 31}},
		},
		Retry: &retry{Max: 3, Wait: Duration(2 * second)},
	})
	equal("derive", f.Stages[2].Use, &deriveStage{Columns: Pairs{
		{Name: "z", Value: "x + 1", Position: Position{12, 17}},
		{Name: "a", Value: "3", Position: Position{12, 27}},
	}})
	equal("filter", f.Stages[3].Use, &filterStage{Where: "x > ${N}"})
	equal("labels", f.Labels, map[string]string{"one": "1", "two": "true"})
	equal("dead letter", f.Dead, (*deadLetter)(nil))
}

func TestValuesOfAnyType(t *testing.T) {
	f, problems := read("version: 1\nsource:\n  rows:\n    data: [{b: 1, a: x}, {b: 2.5, a: '3'}, {b: null, a: true}, [1e3, -.inf, nan, 1_0]]\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &rowsSource{Data: []any{
		Object{{"b", int64(1)}, {"a", "x"}},
		Object{{"b", 2.5}, {"a", "3"}},
		Object{{"b", nil}, {"a", true}},
		[]any{int64(1000), math.Inf(-1), "nan", "1_0"},
	}}
	if diff := cmpDiff(want, f.Source.Use); diff != "" {
		t.Error(diff)
	}
}

func TestPlacesAfterDecoding(t *testing.T) {
	var f pipelineFile
	doc, _ := Load("p.yaml", []byte(minimal+"stages:\n  - map: {fun: f}\n"), Variables{}, &f)
	for path, want := range map[string]Position{
		"stages[0].map.fun":     {4, 16},
		"stages[0].map.timeout": {4, 10},
		"stages[0]":             {4, 5},
		"stages[7].batch":       {4, 3},
		"nothing":               {1, 1},
	} {
		if got := doc.Place(path); got != want {
			t.Errorf("%s is at %v, want %v", path, got, want)
		}
	}
	if got := doc.Problem("stages[0].map.fun", "is not there", "").String(); got != "p.yaml:4:16: stages[0].map.fun: is not there" {
		t.Error(got)
	}
}

func TestAliasesThatGrowAreStopped(t *testing.T) {
	text := minimal + "x-a: &a [x,x,x,x,x,x,x,x,x,x]\nx-b: &b {branch: &f {filter: x}}\n"
	// Each level holds ten times the one before.
	text += "x-0: &s0 [{filter: x}]\n"
	for i := range 8 {
		text += strings.ReplaceAll("x-I: &sI [", "I", string(rune('1'+i)))
		text += strings.TrimSuffix(strings.Repeat("{split: {when: a, stages: *s"+string(rune('0'+i))+"}},", 10), ",") + "]\n"
	}
	text += "stages: *s8\n"
	_, problems := read(text)
	if got := problems.Error(); !strings.Contains(got, "the file has too many values") {
		t.Errorf("%d problems, the first: %.200s", len(problems), got)
	}
}
