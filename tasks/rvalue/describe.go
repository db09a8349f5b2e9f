package rvalue

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/rdata"
)

// Of a value in one line: elements shown, and bytes of a string that are.
const (
	shown     = 5
	shownText = 40
)

// describe is a value in one line, much as str() has it: "num [1:100] 1 2 3 4 5 …",
// "'data.frame': 3 obs. of 2 variables: x, y".
func describe(v rdata.Value) string { return cutAt(line(v), 500) }

func line(v rdata.Value) string {
	if n, ok := rdata.Rows(v); ok {
		text := fmt.Sprintf("'data.frame': %d obs. of %d variables", n, v.Len())
		return text + listed(v, v.Len())
	}
	switch v := v.(type) {
	case nil, rdata.Null:
		return "NULL"
	case *rdata.List:
		return "List of " + strconv.Itoa(len(v.Values)) + classed(v) + listed(v, len(v.Values))
	case *rdata.Pairlist:
		return "pairlist of " + strconv.Itoa(len(v.Cells))
	case *rdata.Symbol:
		return "symbol " + v.Name
	case *rdata.Opaque:
		if c := rdata.Class(v); len(c) > 0 {
			return kindClass(v.Kind) + " of class " + strings.Join(c, ", ")
		}
		return kindClass(v.Kind)
	}
	return vectorText(v)
}

// listed are the names of a list, the first of them.
func listed(v rdata.Value, n int) string {
	names := namesIn(v.Attributes(), n)
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > shown {
		names, more = names[:shown], ", …"
	}
	for i := range names {
		names[i] = cut(names[i])
	}
	return ": " + strings.Join(names, ", ") + more
}

func classed(v rdata.Value) string {
	if c := rdata.Class(v); len(c) > 0 {
		return " of class " + cut(strings.Join(c, ", "))
	}
	return ""
}

func vectorText(v rdata.Value) string {
	var b strings.Builder
	n := v.Len()
	class := rdata.Class(v)
	switch {
	case rdata.Inherits(v, "factor"):
		levels, _ := v.Attributes().Get("levels").(*rdata.Character)
		count := 0
		if levels != nil {
			count = levels.Len()
		}
		fmt.Fprintf(&b, "Factor w/ %d levels", count)
	case momentOf(v) != nil, rdata.Inherits(v, "integer64"), rdata.Inherits(v, "difftime"):
		b.WriteString(cut(class[0]))
	default:
		b.WriteString(map[rdata.Kind]string{
			rdata.KindLogical: "logi", rdata.KindInteger: "int", rdata.KindDouble: "num",
			rdata.KindComplex: "cplx", rdata.KindCharacter: "chr", rdata.KindRaw: "raw",
		}[rdata.KindOf(v)])
	}
	if n == 0 {
		return b.String() + "(0)"
	}
	if d := shape(v); d != nil {
		sizes := make([]string, len(d))
		for i, x := range d {
			sizes[i] = "1:" + strconv.Itoa(x)
		}
		fmt.Fprintf(&b, " [%s]", strings.Join(sizes, ", "))
	} else if n > 1 {
		fmt.Fprintf(&b, " [1:%d]", n)
	}
	w := writer{most: 1 << 20}
	element := w.scalars(v)
	if raw, ok := v.(*rdata.Raw); ok {
		element = func(i int) { w.b = fmt.Appendf(w.b, "%02x", raw.Values[i]) }
	}
	for i := range min(n, shown) {
		w.b = append(w.b[:0], ' ')
		element(i)
		text := string(w.b)
		if text == " null" {
			text = " NA"
		}
		b.WriteString(cut(text))
	}
	if n > shown {
		b.WriteString(" …")
	}
	return b.String()
}

// cut shortens a text to one short line.
func cut(s string) string { return cutAt(s, shownText) }

// cutAt shortens a text to one line of about so many bytes.
func cutAt(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if i > most {
			break
		}
		n = i
	}
	return s[:n] + "…"
}
