package rvalue

import (
	"strconv"

	"github.com/rpipe-dev/rpipe/rdata"
)

// rowKey is the key under which jsonlite writes the names of rows.
const rowKey = "_row"

// dataFrame makes a data.frame of objects, or null: a column for each key. It is nil
// where they are many and have hardly a key in common, so that it would be as large as
// the square of the document.
func dataFrame(records []node, deeper bool) rdata.Value {
	var keys []string
	column := map[string]int{}
	present := 0
	for _, r := range records {
		present += len(r.names)
		for _, key := range r.names {
			if _, ok := column[key]; !ok {
				column[key] = len(keys)
				keys = append(keys, key)
			}
		}
	}
	if n := len(records) * len(keys); n > 1<<20 && n > 100*present {
		return nil
	}
	cells := make([]node, len(records)*len(keys)) // by column; what is missing is null
	set := make([]int, len(keys))                 // the record, from 1, that set it last
	for i, r := range records {
		for j, key := range r.names {
			c := column[key]
			if set[c] <= i { // of equal keys the first counts
				set[c] = i + 1
				cells[c*len(records)+i] = r.elems[j]
			}
		}
	}
	columns := make([]rdata.Value, len(keys))
	for c := range keys {
		n := node{kind: nodeList, elems: cells[c*len(records) : (c+1)*len(records)]}
		columns[c] = n.simplify(false, deeper)
	}
	if c, ok := column[rowKey]; ok {
		names := rowNames(columns[c])
		if names != nil {
			keys = append(keys[:c:c], keys[c+1:]...)
			columns = append(columns[:c:c], columns[c+1:]...)
			f := withRows(keys, columns, len(records))
			f.Attrs[len(f.Attrs)-1].Value = names
			return f
		}
	}
	return withRows(keys, columns, len(records))
}

func withRows(names []string, columns []rdata.Value, rows int) *rdata.List {
	f := rdata.DataFrame(names, columns)
	f.Attrs[len(f.Attrs)-1].Value = automatic(rows)
	return f
}

// automatic is the compact form of the row names 1 to n.
func automatic(n int) rdata.Value {
	if n == 0 {
		return &rdata.Integer{}
	}
	return &rdata.Integer{Values: []int32{rdata.NAInteger, int32(-n)}}
}

// rowNames makes unique row names of the column under rowKey, or nil where it is not
// one of strings or whole numbers.
func rowNames(v rdata.Value) rdata.Value {
	var text []string
	missing := 0
	switch v := v.(type) {
	case *rdata.Integer, *rdata.Double, *rdata.Character:
		for i := range v.Len() {
			e := element(v, i)
			if d, ok := v.(*rdata.Double); ok && e.kind != nodeNull {
				e = node{kind: nodeInteger, num: float64(int32(d.Values[i]))}
			}
			if e.kind == nodeNull {
				missing++
				e = node{kind: nodeString, str: "NA_" + strconv.Itoa(missing)}
			}
			text = append(text, e.text())
		}
	default:
		return nil
	}
	unique := unique(text)
	if _, ok := v.(*rdata.Character); !ok && missing == 0 {
		values := make([]int32, len(text))
		for i, s := range text {
			if s != unique[i] {
				return automatic(len(text))
			}
			n, _ := strconv.ParseInt(s, 10, 32) // it was made of an int32
			values[i] = int32(n)
		}
		if sequence(values) {
			return automatic(len(values))
		}
		return &rdata.Integer{Values: values}
	}
	return rdata.NewCharacter(unique)
}

func sequence(values []int32) bool {
	for i, v := range values {
		if v != int32(i+1) {
			return false
		}
	}
	return true
}

// unique is R's make.unique(): what stands twice gets .1, .2, …
func unique(names []string) []string {
	taken := make(map[string]bool, len(names))
	for _, n := range names {
		taken[n] = true
	}
	out := make([]string, len(names))
	seen, next := make(map[string]bool, len(names)), map[string]int{}
	for i, n := range names {
		out[i] = n
		if !seen[n] {
			seen[n] = true
			continue
		}
		for {
			next[n]++
			out[i] = n + "." + strconv.Itoa(next[n])
			if !taken[out[i]] {
				break
			}
		}
		taken[out[i]] = true
	}
	return out
}
