package sources

import (
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// read cuts and splits text as the CSV source does, with text arriving in
// pieces of at most step bytes. An error is given as the fields read before it.
func (d *dialect) read(text string, step int) (records [][]string, faults int) {
	cut := &csvCutter{dialect: d}
	var buf []byte
	rest, at := text, 0
	for {
		final := rest == ""
		if at < len(buf) {
			r, end, found := cut.cut(buf, at, final)
			if end >= 0 {
				if found {
					out := fields{buf: slices.Clone(buf)}
					var f *fault
					if r.quoted {
						f = d.split(buf, int(r.start), int(r.end), &out)
					} else {
						d.plain(buf, int(r.start), int(r.end), &out)
					}
					if f != nil {
						faults++
						records = append(records, nil)
					} else {
						var row []string
						for _, s := range out.spans {
							row = append(row, string(s.of(out.buf)))
						}
						records = append(records, row)
					}
				}
				at = end
				continue
			}
		}
		if final {
			return records, faults
		}
		n := min(step, len(rest))
		buf, rest = append(buf, rest[:n]...), rest[n:]
	}
}

// reference is the same by encoding/csv.
func reference(d *dialect, text string) (records [][]string, faults int) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.Comment, r.FieldsPerRecord = rune(d.comma), rune(d.comment), -1
	for {
		row, err := r.Read()
		if err == io.EOF {
			return records, faults
		}
		if errors.As(err, new(*csv.ParseError)) {
			faults++
			row = nil
		}
		records = append(records, row)
	}
}

func check(t *testing.T, d *dialect, text string) {
	t.Helper()
	want, wantFaults := reference(d, text)
	for _, step := range []int{1 << 20, 1, 7} {
		got, faults := d.read(text, step)
		if faults != wantFaults || !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%q in pieces of %d:\n got %q with %d malformed\nwant %q with %d", text, step, got, faults, want, wantFaults)
		}
	}
}

func TestSplitMatchesEncodingCSV(t *testing.T) {
	comma := &dialect{comma: ',', quote: '"'}
	f := func(text string) { t.Helper(); check(t, comma, text) }
	f("")
	f("a,b\n")
	f("a,b")
	f("a,b\r\nc,d\r\n")
	f("a,b\r")
	f("a\r\r\nb\rc\n")
	f("\n\n\r\na\n\n")
	f("\r")
	f(",\n,,\n")
	f(",-,-1,--,\x00,\xff\n")
	f("one,two,three,four,five,six,seven,eight,nine,ten\n")
	f(`"a","b"` + "\n" + `"c",d`)
	f(`"a ""quoted"" word",x` + "\r\n")
	f("\"two\r\nlines\",x\n\"three\n\r\n\nlines\"\n")
	f(`"""",""` + "\n")
	f(`a"b,c` + "\nd,e\n")
	f(`"a"b,c` + "\nd,e\n")
	f(`a,"b` + "\nc,d\n")
	f("\"a\nb\"c,d\ne\n")
	f("\"a\"\r")
	f("\"a\"\rb\n")
	f("\"a\"\"")
	f("x,\"a\" \ny\n")
	check(t, &dialect{comma: ';', quote: '"', comment: '#'}, "#c;d\na;b\n#e\n\"#f\"\n\"g\n#h\";i\n#end")
	check(t, &dialect{comma: '\t', quote: '"'}, "a\tb c\t\"d\te\"\n")
}

// Texts of the characters that matter, in every order that chance gives.
func TestSplitRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "aab,,\"\"\"\r\n\n#;-"
	for range 20_000 {
		text := make([]byte, random.IntN(24))
		for i := range text {
			text[i] = letters[random.IntN(len(letters))]
		}
		check(t, &dialect{comma: ',', quote: '"'}, string(text))
		check(t, &dialect{comma: ';', quote: '"', comment: '#'}, string(text))
		if t.Failed() {
			return
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a,\"b\"\"c\"\r\n\n#d\n\"e\nf\",g\"\n")
	f.Add("\"\r\n\r\",\"\"\"\n,-\x01")
	f.Fuzz(func(t *testing.T, text string) {
		// The check is quadratic, byte by byte, and so is the number of attempts
		// that the fuzzer makes to shorten what it finds: it spends up to a minute
		// (-fuzzminimizetime) on each text, in which it counts no execution.
		if len(text) > 200 {
			return
		}
		check(t, &dialect{comma: ',', quote: '"'}, text)
		check(t, &dialect{comma: ';', quote: '"', comment: '#'}, text)
	})
}

func TestTrim(t *testing.T) {
	d := &dialect{comma: '\t', quote: '"', trim: true}
	got, faults := d.read(" a \t  \"b \"\t\t c\r\n  \t x y  ", 3)
	want := [][]string{{"a", "b ", "", "c"}, {"", "x y"}}
	if faults != 0 || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q with %d malformed, want %q", got, faults, want)
	}
}
