package configs

import (
	"bytes"
	"strings"
	"testing"
)

func TestSyntax(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, problems := Parse("p.yaml", []byte(text), Variables{})
		if got := problems.Error(); got != strings.Join(want, "\n") {
			t.Errorf("%q\n got:\n%s\nwant:\n%s", text, got, strings.Join(want, "\n"))
		}
	}
	f("", "p.yaml:1:1: the file is empty")
	f("# nothing\n", "p.yaml:1:1: the file is empty")
	f("---", "p.yaml:1:1: the file is empty")
	f("~\n", "p.yaml:1:1: the file is empty")
	f("---\na: 1\n...\n")
	f("\ufeffa: 1\n")
	f("a: 1\r\nb: 2\r\n")
	f("a: 1\n---\nb: 2\n", "p.yaml:2:1: a second document begins here (one file holds one document: take out the line --- and what follows, or put it into a file of its own)")
	f("a: 1\n---\nb: [\n", "p.yaml:4:1: not YAML: did not find expected node content")
	f("a:\n\t- 1\n", "p.yaml:2:1: not YAML: found character that cannot start any token (indent with spaces; YAML does not allow tabs)")
	f("a: {max: ${N:7}}\n", `p.yaml:1:11: not YAML: did not find expected ',' or '}' (inside { } and [ ] a variable needs quotes: {max: "${n:7}"}; it still becomes a number where one is wanted)`)
	f("a: [${N}]\n", `p.yaml:1:6: not YAML: did not find expected ',' or ']' (inside { } and [ ] a variable needs quotes: {max: "${n:7}"}; it still becomes a number where one is wanted)`)
	f("a: b: c\n", "p.yaml:1:5: not YAML: mapping values are not allowed in this context (a value with a colon and a space in it needs quotes, and keys of one mapping the same indent)")
	f("a: @x\n", "p.yaml:1:4: not YAML: found character that cannot start any token (a value that begins with @ needs quotes)")
	f("a: \"C:\\q\"\n", `p.yaml:1:7: not YAML: found unknown escape character (in double quotes \ begins an escape: write \\, or use single quotes)`)
	f("a: 'x\nb: 2\n", "p.yaml:1:4: not YAML: found unexpected end of stream (while scanning a quoted scalar that begins here)")
	f("a: [1,\nb: 2\n", "p.yaml:1:4: not YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins here)")
	f("%YAML 1.2\n---\na: 1\n", "p.yaml:1:1: not YAML: found incompatible YAML document (leave the %YAML line out)")
	f("a: b\nc: \xff\n", "p.yaml:2:4: not UTF-8")
	f("a: b\nc: \x01\n", "p.yaml:2:4: the control character U+0001 is not allowed")

	f("a: 1\nb: {c: 1, c: 2}\na: 3\n",
		"p.yaml:2:11: b.c: is given twice, first in line 2",
		"p.yaml:3:1: a: is given twice, first in line 1")
	f("? [a, b]\n: c\n", "p.yaml:1:3: a key must be text")
	f("a: !env HOME\n", "p.yaml:1:4: a: the tag !env means nothing here (leave it out)")
	f("a: !!binary aGk=\n", "p.yaml:1:4: a: the tag !!binary means nothing here (leave it out)")
	f("a.b: {c d: [{'': ${X}}]}\n", `p.yaml:1:19: not YAML: did not find expected ',' or '}' (inside { } and [ ] a variable needs quotes: {max: "${n:7}"}; it still becomes a number where one is wanted)`)
	f("a.b: {c d: [{'': '${X}'}]}\n", `p.yaml:1:18: ["a.b"]["c d"][0][""]: ${X} has no value (set it with -v X=… or in the environment, or give it a default: ${X:…})`)

	f("a: *b\n", "p.yaml:1:4: not YAML: unknown anchor 'b' referenced")
	f("a: &a [*a]\n", "p.yaml:1:8: a[0]: *a stands inside the value it refers to")
	f("a: &a {<<: *a}\n", "p.yaml:1:12: a: *a stands inside the value it refers to")
	f("a: {<<: [x]}\n", "p.yaml:1:10: a: << takes a mapping or a list of mappings, not a single value")
	f("a: {<<: 3}\n", "p.yaml:1:9: a: << takes a mapping or a list of mappings, not a single value")

	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	f("a: "+deep+"\n", "p.yaml:1:203: a"+strings.Repeat("[0]", 199)+": is nested too deeply")
}

func TestAliasesAndMergeKeys(t *testing.T) {
	f, problems := read(`version: 1
x-defaults: &slow {rows: 5, period: 1h}
x-more: &more {period: 2h, bytes: 1MiB}
source: {csv: {path: &p a.csv}}
stages:
  - batch: *slow
  - batch: {<<: *slow, rows: 6}
  - batch: {rows: 7, <<: [*slow, *more]}
name: *p
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	hour := Duration(60 * minute)
	want := []*batchStage{
		{Rows: 5, Bytes: 16 << 20, Period: hour},
		{Rows: 6, Bytes: 16 << 20, Period: hour},
		{Rows: 7, Bytes: 1 << 20, Period: hour},
	}
	for i, w := range want {
		if diff := cmpDiff(w, f.Stages[i].Use); diff != "" {
			t.Errorf("stage %d: %s", i, diff)
		}
	}
	if f.Name != "a.csv" {
		t.Errorf("name is %q", f.Name)
	}
}

// Whatever the file, reading it ends, with problems that can be shown.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", minimal, everything, "a: &a [*a]\n", "a: {<<: [*a, {}]}\n", "stages: [{batch: , map: }, null, x, [], {split: {stages: [{}]}}]\n",
		"r: {token: |\n  a\n b}\n", "r: {env: {a: [b], <<: {c: d}}, token: [[x]]}\n", "version: ${V}${\n", "source: {rows: {data: [1, {a: 2}]}}\n",
		"? - a\n: b\n", "a: 'x\u0085y'\nb: [}", "r: {workers: {min: 9, max: 1}}\n", "\xff", "labels: {'a.b[': ~}\n", "--- 1\n--- 2\n", ": \n0", "---", "r: {niceness: 1e2, seed: -0, share: 1e400}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, problems := read(text)
		var out bytes.Buffer
		if err := problems.Format(&out, true); err != nil {
			t.Fatal(err)
		}
		for _, problem := range problems {
			if problem.Message == "" || problem.Line < 0 || problem.Line > strings.Count(lineBreaks.Replace(text), "\n")+1 {
				t.Fatalf("%+v", problem)
			}
		}
		if problems.Err() != nil {
			return
		}
		if strings.Contains(text, "token") || strings.Contains(text, "env") {
			return // secrets are written as ***
		}
		compareNormalized(t, p)
	})
}
