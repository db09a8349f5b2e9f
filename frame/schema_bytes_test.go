package frame

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestASchemaSurvivesItsBytes(t *testing.T) {
	var fields []arrow.Field
	for _, name := range []string{"bool", "int32", "int64", "double", "string", "date", "timestamp", "timestamp[Europe/Berlin]", "difftime[mins]", "list<double>", "json", "factor", "ordered", "binary"} {
		f, err := ParseType(name)
		if err != nil {
			t.Fatal(name, err)
		}
		f.Name = name
		fields = append(fields, f)
	}
	want := arrow.NewSchema(fields, nil)
	b, err := SchemaBytes(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := SchemaFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range want.Fields() {
		if g := got.Field(i); TypeName(g) != TypeName(f) || g.Name != f.Name {
			t.Errorf("%s came back as %s", TypeName(f), TypeName(g))
		}
	}
	if _, err := SchemaFrom([]byte("no schema")); err == nil {
		t.Error("what is no schema was taken for one")
	}
}
