package configs

import (
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	if got := Audit(new(pipelineFile)); len(got) > 0 {
		t.Error(strings.Join(got, "\n"))
	}
	type inner struct {
		A int      `yaml:"a" default:"x" doc:"A."`
		B Size     `yaml:"b" min:"1x" doc:"B."`
		C string   `yaml:"c" default:"z" enum:"x|y" doc:"C."`
		D string   `yaml:"d" required:"true" default:"d" doc:"D"`
		E []string `yaml:"e" min:"many" doc:"E."`
		F int8     `yaml:"f" max:"1000" doc:"F."`
		G []int    `yaml:"g" default:"[1, 2]" min:"1" doc:"G."`
	}
	got := Audit(&struct {
		Inner inner `yaml:"inner"`
	}{})
	want := []string{
		"inner: has no doc",
		`inner.a: its default tag "x" does not fit`,
		`inner.b: its min tag "1x" does not fit`,
		`inner.c: its default "z" is not in its enum`,
		"inner.d: its doc is not a sentence",
		"inner.d: is required, and has a default",
		`inner.e: its min tag "many" does not fit`,
		`inner.f: its max tag "1000" does not fit`,
	}
	// A default outside of its enum does not decode either.
	got = deleteMatching(got, `inner.c: its default tag "z" does not fit`)
	if len(got) != len(want) {
		t.Fatalf("got\n%s", strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
}

func deleteMatching(lines []string, prefix string) (out []string) {
	for _, l := range lines {
		if !strings.HasPrefix(l, prefix) {
			out = append(out, l)
		}
	}
	return out
}

// Structs that cannot work are told at once, to whoever wrote them.
func TestStructsThatMakeNoSense(t *testing.T) {
	f := func(into any, want string) {
		t.Helper()
		defer func() {
			if got, _ := recover().(string); !strings.Contains(got, want) {
				t.Errorf("panic %q, want %q", got, want)
			}
		}()
		doc, _ := Parse("p.yaml", []byte("a: 1\nb: {}\n"), Variables{})
		Decode(doc, into)
	}
	f(pipelineFile{}, "needs a pointer to a struct, not configs.pipelineFile")
	f((*pipelineFile)(nil), "needs a pointer to a struct")
	f(new(int), "needs a pointer to a struct")
	f(&struct {
		A int `yaml:"a"`
		B int `yaml:"a"`
	}{}, `two fields with the key "a"`)
	f(&struct {
		a int `yaml:"a"`
	}{}, "is not exported")
	f(&struct {
		A int `yaml:"a,omitempty"`
	}{}, "unknown option in its yaml tag: omitempty")
	f(&struct {
		A any `yaml:",component"`
	}{}, "needs both")
	f(&struct {
		A chan int `yaml:"a"`
	}{}, "cannot be configured")
	f(&struct {
		C int `yaml:"c" default:"x"`
	}{}, `default "x"`)
	f(new(wrongUnion), "which is no io.Reader")
	f(new(wrongShort), "Shorthand names no field")
}
