package partition

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDir(t *testing.T) {
	f := func(column, value, want string) {
		t.Helper()
		if got := Dir(column, value); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f("c", "a b", "c=a b")
	f("c", "", "c=")
	f("c", "Zürich", "c=Zürich")
	f("c", "../x", "c=..%2Fx")
	f("c", "50%=x:y?", "c=50%25%3Dx%3Ay%3F")
	f("c", "a\x00\n\x7f", "c=a%00%0A%7F")
	f("c", Null, "c=%5F_HIVE_DEFAULT_PARTITION__")
	f("a=b", "x", "a%3Db=x")
	if got := NullDir("a/b"); got != "a%2Fb="+Null {
		t.Error(got)
	}
}

func TestParse(t *testing.T) {
	f := func(path string, columns []string, values ...[]byte) {
		t.Helper()
		gotColumns, gotValues := Parse(path)
		if d := cmp.Diff(columns, gotColumns) + cmp.Diff(values, gotValues); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
	f("file", nil)
	f("a=b", nil) // a file of that name
	f("a=b/file", []string{"a"}, []byte("b"))
	f("a=b=c/old/d=/file", []string{"a", "d"}, []byte("b=c"), []byte{})
	f("=x/a="+Null+"/file", []string{"a"}, nil)
	f("a=50%/b=%zz%4/file", []string{"a", "b"}, []byte("50%"), []byte("%zz%4"))
}

// What Dir writes Parse reads.
func FuzzDir(f *testing.F) {
	for _, s := range []string{"", "x", "%41", "é\xff", Null, "a/b=c"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, column, value string) {
		if column == "" {
			return // no column is called so
		}
		columns, values := Parse(Dir(column, value) + "/" + NullDir(column) + "/file")
		want := [][]byte{[]byte(value), nil}
		if d := cmp.Diff([]string{column, column}, columns) + cmp.Diff(want, values); d != "" {
			t.Error(d)
		}
	})
}
