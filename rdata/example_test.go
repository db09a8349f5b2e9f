package rdata_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/rpipe-dev/rpipe/rdata"
)

// An .rds file for saveRDS() and readRDS(), here in memory.
func Example() {
	people := rdata.DataFrame([]string{"name", "age"}, []rdata.Value{
		rdata.NewCharacter([]string{"Ada", "Blaise"}),
		&rdata.Integer{Values: []int32{36, rdata.NAInteger}},
	})
	var file bytes.Buffer
	w, err := rdata.Compress(&file, rdata.Gzip)
	if err != nil {
		log.Fatal(err)
	}
	if err := rdata.Encode(w, people, rdata.Format{Version: 3}); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	v, err := rdata.Decode(&file, nil)
	if err != nil {
		log.Fatal(err)
	}
	rows, _ := rdata.Rows(v)
	name, _ := v.(*rdata.List).Values[0].(*rdata.Character).At(1)
	fmt.Println(rdata.Class(v), rows, name)
	// Output: [data.frame] 2 Blaise
}

// A factor, written without making a Value of it.
func ExampleEncoder() {
	var e rdata.Encoder
	e.VectorHead(rdata.KindInteger, 3, true, true)
	e.Int32s([]int32{1, 2, 1})
	e.Attr("levels")
	if err := e.Strs("lo", "hi"); err != nil {
		log.Fatal(err)
	}
	e.Attr("class")
	if err := e.Strs("factor"); err != nil {
		log.Fatal(err)
	}
	e.EndAttrs()

	v, err := rdata.UnmarshalItem(e.Buf, nil)
	if err != nil {
		log.Fatal(err)
	}
	levels := v.Attributes().Get("levels").(*rdata.Character)
	fmt.Println(rdata.Class(v), v.(*rdata.Integer).Values, levels.Strings())
	// Output: [factor] [1 2 1] [lo hi]
}
