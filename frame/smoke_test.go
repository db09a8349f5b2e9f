package frame

import (
	"fmt"
	"testing"
)

func TestSmoke(t *testing.T) {
	in := NewInferrer([]string{"a", "b", "c", "d", "e", "f", "g"}, InferOptions{})
	rows := [][][]byte{
		{[]byte("1"), []byte("x"), []byte("2.5"), []byte("TRUE"), []byte("2024-02-29"), []byte("2024-02-29T10:11:12.5Z"), nil},
		{[]byte("2"), []byte("y"), []byte("3"), nil, []byte("2024-03-01"), []byte("2024-02-29T10:11:12.5+01:00"), nil},
	}
	for _, r := range rows {
		in.Sample(r)
	}
	b := NewTextBuilder(in.Schema(), nil)
	for _, r := range rows {
		if err := b.AppendRow(r); err != nil {
			t.Fatal(err)
		}
	}
	err := b.AppendRow([][]byte{[]byte("2.5")})
	fmt.Println(err)
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Print(FormatSchema(f.Schema()))
	g, err := Concat(f, Slice(f, 1, 2), Slice(f, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int(g.NumRows()) {
		for k := range int(g.NumCols()) {
			fmt.Print(string(AppendText(nil, g.Column(k), i, TextOptions{Null: "NA"})), "|")
		}
		fmt.Println(Bytes(g))
	}
}
