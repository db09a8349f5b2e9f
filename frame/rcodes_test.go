package frame

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/rdata"
)

func TestTextIsCodedWhereItRepeats(t *testing.T) {
	f := func(rows, distinct int, want bool) {
		t.Helper()
		b := NewBuilder(arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
		for i := range rows {
			if i%10 == 9 {
				b.Column(0).AppendNull()
			} else {
				b.Column(0).AppendString(fmt.Sprint("v", i%distinct))
			}
		}
		in, err := b.Frame()
		if err != nil {
			t.Fatal(err)
		}
		item, coded, err := AppendCodedR([]byte("before"), in, ROptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(coded) == 1 && coded[0] == 1; got != want {
			t.Errorf("%d rows, %d different: coded %v", rows, distinct, coded)
		}
		v, err := rdata.UnmarshalItem(item[len("before"):], nil)
		if err != nil {
			t.Fatal(err)
		}
		codes, ok := v.(*rdata.List).Values[0].(*rdata.Integer)
		if ok != want {
			t.Errorf("%d rows, %d different: %T", rows, distinct, v.(*rdata.List).Values[0])
		}
		if !ok {
			return
		}
		levels := codes.Attrs.Get("levels").(*rdata.Character)
		for i, code := range codes.Values {
			got := ""
			if code != rdata.NAInteger {
				got, _ = levels.At(int(code) - 1)
			}
			if want := in.Column(0).ValueStr(i); got != want && !(in.Column(0).IsNull(i) && got == "") {
				t.Fatalf("row %d is %q, want %q", i, got, want)
			}
		}
	}
	f(1000, 7, true)
	f(1000, codeLevels-1, true)
	f(1000, 999, false)
	f(codeRows-1, 1, false)
	f(0, 1, false)
}

func TestCodedTextIsChecked(t *testing.T) {
	b := NewBuilder(arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
	for i := range codeRows {
		b.Column(0).AppendString("fine")
		if i == 20 {
			b.Column(0).AppendString("a\x00b")
		}
	}
	in, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	dst := []byte("before")
	out, _, err := AppendCodedR(dst, in, ROptions{})
	if err == nil || !strings.Contains(err.Error(), `column "x", row 22`) || string(out) != "before" {
		t.Errorf("%q, %v", out, err)
	}
}

// A NULL stands for the column that was sent, and for nothing else.
func TestFromRBeside(t *testing.T) {
	b := NewBuilder(arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
	b.Column(0).AppendString("a")
	sent, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	item := func(name string) []byte {
		df := rdata.DataFrame([]string{name}, []rdata.Value{rdata.Null{}})
		df.Attrs = append(df.Attrs[:len(df.Attrs)-1:len(df.Attrs)-1], rdata.Attribute{Name: "row.names", Value: &rdata.Integer{Values: []int32{rdata.NAInteger, -1}}})
		out, err := rdata.AppendItem(nil, df)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	got, err := FromRBeside(item("x"), sent)
	if err != nil || Diff(got, sent) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := FromRBeside(item("y"), sent); err == nil {
		t.Error("a column that was not sent")
	}
	if _, err := FromR(item("x")); err == nil {
		t.Error("nothing was sent")
	}
}
