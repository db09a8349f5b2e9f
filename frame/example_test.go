package frame_test

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// A reader of text files samples some rows, and then holds all to what it found.
func ExampleInferrer() {
	rows := [][][]byte{
		{[]byte("1"), []byte("2024-02-29"), []byte("0.5"), []byte("007")},
		{[]byte("2"), nil, []byte("3"), []byte("x")},
	}
	in := frame.NewInferrer([]string{"id", "day", "score", "code"}, frame.InferOptions{})
	for _, r := range rows {
		in.Sample(r)
	}
	fmt.Print(frame.FormatSchema(in.Schema()))
	b := frame.NewBuilder(in.Schema())
	for _, r := range rows {
		for i, field := range r {
			if field == nil {
				b.Column(i).AppendNull()
			} else if !b.Column(i).ParseText(field) {
				fmt.Printf("%s is no value of column %d\n", field, i+1)
			}
		}
	}
	fmt.Println("three is an id:", b.Column(0).ParseText([]byte("three")))
	f, err := b.Frame()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.NumRows(), "rows")
	// Output:
	// id    int32
	// day   date
	// score double
	// code  string
	// three is an id: false
	// 2 rows
}

// What R returns has R's types; Restore and Conform give it those that are wanted.
func ExampleConform() {
	returns, err := frame.ParseType("int64")
	if err != nil {
		fmt.Println(err)
		return
	}
	returns.Name = "n"
	b := frame.NewBuilderSize(arrow.NewSchema([]arrow.Field{returns}, nil), 2)
	b.Column(0).AppendInt64(7)
	b.Column(0).AppendNull()
	f, err := b.Frame()
	if err != nil {
		fmt.Println(err)
		return
	}
	item, err := frame.AppendR(nil, f, frame.ROptions{}) // as double, which R has
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := frame.FromR(item)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(frame.FormatSchema(got.Schema()))
	got, err = frame.Conform(got, f.Schema())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(frame.FormatSchema(got.Schema()), frame.Equal(f, got), "\n")
	// Output:
	// n double
	// n int64
	// true
}
