package rvalue

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/rdata"
)

// documents are those whose rules are worth a look.
var documents = []string{
	`null`, `true`, `1`, `-7`, `2147483647`, `2147483648`, `-2147483648`, `1.0`, `1e3`, `0.1`, `1e-400`, `"x"`, `"NA"`, `""`,
	`[]`, `{}`, `[null]`, `[null,null]`, `[true,null]`, `[1,null]`, `[1,2.5]`, `[1,true]`, `[1,"a"]`, `[1.5,"a",true,null]`,
	`[100000,"a"]`, `[1e5,"a"]`, `[123456.7,"a"]`, `[0.1,1e15,1e-5,"z"]`, `["NA","NaN","Inf","-Inf"]`, `["NA","x"]`, `["Inf",1]`, `["NA"]`, `["NA",true]`,
	`{"a":1,"b":[1,2],"c":null}`, `{"a":1,"a":2}`, `{"":1}`, `[{}]`, `[{},{}]`, `[{},null]`, `[{"a":1},null,{"a":3}]`,
	`[{"a":1,"b":"x"},{"a":2,"b":"y"}]`, `[{"a":1},{"b":2}]`, `[{"a":1,"a":2},{"a":3}]`, `[{"a":[1,2]},{"a":[3,4]}]`, `[{"a":[1,2]},{"a":[]}]`, `[{"a":[1,2]},{"a":null}]`,
	`[{"a":{"b":1}},{"a":{"b":2}}]`, `[{"a":{"b":1}},{"a":null}]`, `[{"a":[{"b":1},{"b":2}]},{"a":[]}]`, `[{"a":[{"b":1}]},{"a":[{"b":2}]}]`,
	`[{"a":[[1,2],[3,4]]},{"a":[[5,6],[7,8]]}]`, `[{"a":null},{"a":null}]`, `[{"a":"Inf"},{"a":1}]`,
	`[[1,2],[3,4]]`, `[[1,2],[3]]`, `[[1,2],["a",null]]`, `[[true],[1]]`, `[[1.5,2],["a","b"]]`, `[[1],[2]]`, `[[],[]]`, `[[1],[]]`, `[[],["a"]]`, `[[1,2],[]]`, `[1,[]]`, `[1,[2,3]]`, `["x",[]]`, `[null,[]]`, `[[null],[null]]`,
	`[[[1,2],[3,4]],[[5,6],[7,8]]]`, `[[[1,2],[3,4]],[[5,6]]]`, `[[[1]],[[2]]]`, `[[{"a":1}],[{"a":2}]]`, `[[{"a":1}],[]]`, `[{"a":1},[]]`, `[{"a":1},2]`, `[[{}],[{}]]`, `[{"a":{}},{"a":{}}]`,
	`[{"_row":"r1","x":1},{"_row":"r2","x":2}]`, `[{"_row":5,"x":1},{"_row":7,"x":2}]`, `[{"x":1,"_row":1},{"x":2,"_row":2}]`, `[{"_row":"r","x":1},{"_row":"r","x":2}]`, `[{"_row":"r","x":1},{"x":2}]`,
	`"\u00e9\u65e5\ud83d\ude00 \"q\" \\ \/ \n"`, ` [ 1 , 2 ] `, `{"a":{"b":{"c":[1,{"d":[]}]}}}`, `[[["a","b"]],[["c","d"]]]`,
	`[[1,2],null]`, `[[1,2],3]`, `[[[1,2]],[3,4]]`, `[{"a":1,"b":{"c":[{"d":1},{"d":2}]}}]`,
}

// genJSON draws documents whose parts are alike as often as not.
func genJSON(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kinds := 6
		if depth > 0 {
			kinds = 12
		}
		join := func(open string, gen *rapid.Generator[string], end string) string {
			return open + strings.Join(rapid.SliceOfN(gen, 0, 4).Draw(t, "elements"), ",") + end
		}
		key := rapid.SampledFrom([]string{"a", "b", "x y", "größe"})
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return "null"
		case 1:
			return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "logical")
		case 2:
			return strconv.Itoa(int(rapid.Int32().Draw(t, "integer")))
		case 3:
			return strconv.FormatFloat(float64(rapid.IntRange(-1e6, 1e6).Draw(t, "double"))/64, 'g', -1, 64)
		case 4, 5:
			return rapid.SampledFrom([]string{`"a"`, `"b\n"`, `"é"`, `""`, `"NA"`, `"Inf"`}).Draw(t, "string")
		case 6, 7:
			return join("[", genJSON(depth-1), "]")
		case 8, 9: // rows
			keys := rapid.SliceOfNDistinct(key, 1, 3, rapid.ID).Draw(t, "keys")
			row := rapid.Custom(func(t *rapid.T) string {
				var cells []string
				for _, k := range keys {
					if rapid.IntRange(0, 5).Draw(t, "there") > 0 {
						cells = append(cells, strconv.Quote(k)+":"+genJSON(depth-1).Draw(t, "cell"))
					}
				}
				return "{" + strings.Join(cells, ",") + "}"
			})
			return join("[", row, "]")
		case 10: // a matrix, often
			n := rapid.IntRange(1, 3).Draw(t, "columns")
			row := rapid.Custom(func(t *rapid.T) string {
				return "[" + strings.Join(rapid.SliceOfN(genJSON(0), n, n).Draw(t, "row"), ",") + "]"
			})
			return join("[", row, "]")
		}
		member := rapid.Custom(func(t *rapid.T) string {
			return strconv.Quote(key.Draw(t, "key")) + ":" + genJSON(depth-1).Draw(t, "value")
		})
		return join("{", member, "}")
	})
}

// TestJSONSettles: what was shown twice is shown the same again. Once is not enough: a
// list of TRUE and a vector of one number is shown as an array of scalars, which is a
// vector.
func TestJSONSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		show := func(doc string) string {
			b, err := FromJSON([]byte(doc))
			if err != nil {
				t.Fatalf("%s: %v", doc, err)
			}
			js, err := ToJSON(b, nil)
			if err != nil {
				t.Fatalf("%s: %v", doc, err)
			}
			return string(js)
		}
		doc := genJSON(3).Draw(t, "document")
		second := show(show(doc))
		if third := show(second); third != second {
			t.Fatalf("%s is shown twice as\n%s, and that as\n%s", doc, second, third)
		}
	})
}

func TestDocumentsThatAreRefused(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		if _, err := FromJSON([]byte(doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want …%s…", doc, err, want)
		}
	}
	f("", "JSON: the document is empty")
	f(" \n", "JSON: the document is empty")
	f("{\n  \"a\": 1,\n  \"ü\": x\n}", "JSON: line 3, column 8: invalid character 'x'")
	f("[1] 2", "JSON: line 1, column 5")
	f("[1,", "JSON: line 1, column")
	f("\"\xff\"", "not valid UTF-8")
	f(`["a\u0000b"]`, "embedded NUL")
	f(`{"a\u0000b": 1}`, "embedded NUL")
	f(strings.Repeat("[", MaxDepth+1)+strings.Repeat("]", MaxDepth+1), "nest deeper than 1000")
	f(strings.Repeat("[", 1<<20), "JSON: ")
}

// TestManyKeysStayAList: a data.frame would be as large as the square.
func TestManyKeysStayAList(t *testing.T) {
	var b strings.Builder
	b.WriteByte('[')
	const n = 20000
	for i := range n {
		fmt.Fprintf(&b, `{"k%d":1},`, i)
	}
	b.WriteString("{}]")
	stream, err := FromJSON([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := rdata.Unmarshal(stream, nil); err != nil || v.Len() != n+1 || rdata.Class(v) != nil {
		t.Errorf("%v, %v", rdata.Class(v), err)
	}
}

func TestLongJSONIsAnError(t *testing.T) {
	level := strings.Repeat("x", 1<<20)
	f := &rdata.Integer{Values: make([]int32, 1000), Attrs: rdata.Attributes{
		{Name: "levels", Value: rdata.NewCharacter([]string{level})},
		{Name: "class", Value: rdata.NewCharacter([]string{"factor"})},
	}}
	for i := range f.Values {
		f.Values[i] = 1
	}
	stream, err := encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := ToJSON(stream, []byte("x")); err == nil || !strings.Contains(err.Error(), "128 MiB") || string(b) != "x" {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
