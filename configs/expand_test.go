package configs

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	vars := environment(map[string]string{"HOST": "db", "PORT": "5432", "EMPTY": "", "ODD": "a: [b\n${HOST} $${"})
	vars.Flags = map[string]string{"PORT": "9", "day": "2026-01-02"}
	vars.Run = map[string]string{"run.id": "r1"}
	f := func(text, want string) {
		t.Helper()
		x := expansion{Variables: vars, seen: map[string]bool{}}
		if got, _, faults := x.expand(text); got != want || len(faults) > 0 {
			t.Errorf("%q gives %q, %v, want %q", text, got, faults, want)
		}
	}
	f("", "")
	f("plain $ text $x {y}", "plain $ text $x {y}")
	f("${HOST}", "db")
	f("${HOST}:${PORT}/x", "db:9/x") // -v wins over the environment
	f("${day}", "2026-01-02")
	f("${run.id}", "r1")
	f("${run.scheduled_time:never}", "never") // this run has none
	f("${EMPTY}", "")
	f("[${EMPTY:x}]", "[]") // set to nothing is set
	f("${NONE:}", "")
	f("${NONE:x}", "x")
	f("${NONE:localhost:9092}", "localhost:9092")
	f("${NONE:a b$c}", "a b$c")
	f("${HOST:x}", "db")
	f("$${HOST}", "${HOST}")
	f("$$${HOST}", "$${HOST}")
	f("$${", "${")
	f("$${HOST} ${HOST}", "${HOST} db")
	f("${ODD}", "a: [b\n${HOST} $${") // once, not again
	f("é${HOST}é", "édbé")

	fails := func(text string, want ...string) {
		t.Helper()
		x := expansion{Variables: vars, seen: map[string]bool{}}
		_, _, faults := x.expand(text)
		var got []string
		for _, f := range faults {
			got = append(got, f.message)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	fails("${NONE}", "${NONE} has no value")
	fails("${A} ${B} ${HOST}", "${A} has no value", "${B} has no value")
	fails("${", "${ without a }")
	fails("x ${HOST", "${ without a }")
	fails("${}", "${} is not a variable")
	fails("${:x}", "${} is not a variable")
	fails("${a b}", "${a b} is not a variable")
	fails("${1a}", "${1a} is not a variable")
	fails("${ HOST }", "${ HOST } is not a variable")
	fails("${x + ${HOST}}", "${x + ${HOST} is not a variable")
	fails(`${NONE:{"a": 1}}`, "the default of ${NONE:…} has a brace in it")
	fails("${NONE:${HOST}}", "the default of ${NONE:…} has a brace in it")
	fails("${run.idd:x}", "there is no ${run.idd}")
	fails("${run.scheduled_time}", "${run.scheduled_time} has no value here")
}

func TestVariablesOfAFile(t *testing.T) {
	f := func(text string, flags map[string]string, want ...string) {
		t.Helper()
		_, problems := Parse("p.yaml", []byte(text), Variables{Flags: flags})
		if got := problems.Error(); got != strings.Join(want, "\n") {
			t.Errorf("%s\n got:\n%s\nwant:\n%s", text, got, strings.Join(want, "\n"))
		}
	}
	set := func(names ...string) map[string]string {
		out := map[string]string{}
		for _, n := range names {
			out[n] = "x"
		}
		return out
	}
	f("a: ${day}\n", set("day"))
	f("a: ${day}\n", set("dya"),
		"p.yaml:1:4: a: ${day} has no value (set it with -v day=… or in the environment, or give it a default: ${day:…})",
		"p.yaml: -v dya: there is no ${dya} in the file (did you mean ${day}?)")
	f("a: 1\n", set("x"), "p.yaml: -v x: there is no ${x} in the file")
	f("a: ${other:}\n", set("x"), "p.yaml: -v x: there is no ${x} in the file (there is ${other})")
	f("a: $${x}\n", set("x"), "p.yaml: -v x: there is no ${x} in the file")
	f("a: 1\n", set("run.id"), "p.yaml: -v run.id: names that begin with run. are set by rpipe alone")
	f("${key}: 1\n", set("key"), "p.yaml: -v key: there is no ${key} in the file") // keys are not expanded
	f("# ${x}\na: b # ${x}\n", set("x"), "p.yaml: -v x: there is no ${x} in the file")
	f("a: |\n  one ${x}\n  two\n", set("x"))
	f("a: &a ${x}\nb: *a\n", nil, "p.yaml:1:4: a: ${x} has no value (set it with -v x=… or in the environment, or give it a default: ${x:…})")
}

// A value of a variable never adds keys, items or documents, whatever it is.
func FuzzValuesCannotChangeTheStructure(f *testing.F) {
	for _, seed := range []string{"x", "x\nstages: []", "{a: b}", "[1, 2]", "*a", "&a", "!!int 3", "null", "\n---\n", "a: b", "# c", "'", "\"", "${V}", "$${V}", "\x00", "\xff", "<<: *a", "- x", "|", "%YAML"} {
		f.Add(seed)
	}
	const text = "version: 1\nname: ${V}\nsource: {csv: {path: [\"${V}\", 'a${V}b'], delimiter: ;}}\nlabels:\n  ${V}: |\n    ${V}\n"
	f.Fuzz(func(t *testing.T, value string) {
		var p pipelineFile
		_, problems := Load("p.yaml", []byte(text), environment(map[string]string{"V": value}), &p)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		want := pipelineFile{Version: 1, Name: value, Memory: 1 << 30}
		defaultsOf(&want)
		want.Source.Use = &csvSource{Path: []string{value, "a" + value + "b"}, Delimiter: ";", NA: []string{"NA", ""}, Failures: Failures{OnError: "stop"}}
		want.Labels = map[string]string{"${V}": value + "\n"}
		if value == "" {
			want.Labels["${V}"] = "\n"
		}
		if diff := cmpDiff(want, p); diff != "" {
			t.Fatal(diff)
		}
	})
}

func defaultsOf(p *pipelineFile) {
	p.R.Workers.Min, p.R.Workers.Idle, p.R.Share, p.R.Level = 1, Duration(5*minute), 0.5, 1
}
