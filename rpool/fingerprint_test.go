package rpool

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestFingerprintTellsEveryFieldApart(t *testing.T) {
	seen := map[string]string{new(Environment).Fingerprint(): "the zero value"}
	check := func(name string, e Environment) {
		t.Helper()
		f := e.Fingerprint()
		if other, ok := seen[f]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[f] = name
	}
	// By reflection, so that a field added later cannot be forgotten.
	set := func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Int, reflect.Int64:
			v.SetInt(int64(time.Second))
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Slice:
			v.Set(reflect.ValueOf([]string{"x"}))
		case reflect.Map:
			v.Set(reflect.ValueOf(map[string]string{"x": "y"}))
		default:
			t.Fatalf("teach this test to set a %v", v.Type())
		}
	}
	typ := reflect.TypeFor[Environment]()
	for i := range typ.NumField() {
		if typ.Field(i).Name == "Min" { // says how many, not what
			continue
		}
		var e Environment
		v := reflect.ValueOf(&e).Elem().Field(i)
		if v.Kind() != reflect.Struct {
			set(v)
			check(typ.Field(i).Name, e)
			continue
		}
		for j := range v.NumField() {
			e = Environment{}
			set(v.Field(j))
			check(typ.Field(i).Name+"."+v.Type().Field(j).Name, e)
		}
	}
	check("two packages", Environment{Packages: []string{"a", "b"}})
	check("two packages the other way round", Environment{Packages: []string{"b", "a"}})
	check("one package with both names", Environment{Packages: []string{"a b"}})
}

func TestFingerprintFollowsTheContentOfSources(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "model.R")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := &Environment{Sources: []string{"model.R"}, Dir: dir}
	missing := env.Fingerprint()
	write("f <- function(x) x")
	first := env.Fingerprint()
	if first == missing {
		t.Error("a file that appeared changes nothing")
	}
	write("f <- function(x) y")
	if env.Fingerprint() == first {
		t.Error("a file of the same length changes nothing")
	}
	write("f <- function(x) x")
	if err := os.Chtimes(file, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if env.Fingerprint() != first {
		t.Error("touching a file changes the fingerprint")
	}
}
