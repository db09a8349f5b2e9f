package sources

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/frame"
)

// columnReader reads one column of one row group: pages in, arrays of the
// wanted number of rows out. A page has slots, each with a definition level
// (none in a required column) and, in lists, a repetition level; its values are
// dense, without those that are missing.
type columnReader struct {
	leaf
	pages parquet.Pages
	page  parquet.Page // nil before the first
	def   []byte
	rep   []byte
	slots int
	slot  int // next slot
	value int // next value
	src   pageValues
	index []int32 // of the values in src; nil where the page has no dictionary

	dict   parquet.Dictionary // whose values src holds
	levels *levelTable        // of a factor
	out    arrayBuffers
	lists  listBuffers
}

func newColumnReader(l leaf, pages parquet.Pages, skip int64) (*columnReader, error) {
	r := &columnReader{leaf: l, pages: pages}
	if frame.KindOf(l.field) == frame.KindFactor {
		r.levels = newLevelTable(l.field)
	}
	for skip > 0 {
		n := min(skip, frame.Rows)
		if _, err := r.read(int(n)); err != nil {
			r.close()
			return nil, err
		}
		skip -= n
	}
	return r, nil
}

func (r *columnReader) close() {
	if r.page != nil {
		parquet.Release(r.page)
	}
	r.pages.Close()
}

// next loads the next page that has slots.
func (r *columnReader) next() error {
	for {
		if r.page != nil {
			parquet.Release(r.page)
			r.page = nil
		}
		p, err := r.pages.ReadPage()
		if err != nil {
			return err
		}
		r.page = p
		r.def, r.rep = p.DefinitionLevels(), p.RepetitionLevels()
		r.slots, r.slot, r.value = int(p.NumValues()), 0, 0
		if r.slots == 0 {
			continue
		}
		data := p.Data()
		d := p.Dictionary()
		if d == nil {
			r.index, r.dict = nil, nil
			return r.src.set(data, r.kind)
		}
		r.index = data.Int32()
		if d == r.dict {
			return nil
		}
		r.dict = d
		if err := r.src.set(d.Page().Data(), r.kind); err != nil {
			return err
		}
		if r.how == asStrings && !validText(r.src.bytes, r.src.offsets) {
			return errNotText
		}
		if r.levels != nil {
			r.levels.translate(&r.src)
		}
		return nil
	}
}

// read makes an array of the next n rows.
func (r *columnReader) read(n int) (arrow.Array, error) {
	if r.how == nothing {
		c := frame.NewColumn(r.field, n)
		for range n {
			c.AppendNull()
		}
		return c.Array()
	}
	r.out.reset(n)
	if r.list {
		return r.readLists(n)
	}
	for r.out.n < n {
		if r.slot == r.slots {
			if err := r.next(); err != nil {
				return nil, err
			}
		}
		k := min(n-r.out.n, r.slots-r.slot)
		var def []byte
		if len(r.def) > 0 {
			def = r.def[r.slot : r.slot+k]
		}
		if err := r.append(def, k); err != nil {
			return nil, err
		}
		r.slot += k
	}
	return r.out.array(r.field, r.levels)
}

// append takes k slots whose definition levels are def; nil says that none is missing.
func (r *columnReader) append(def []byte, k int) error {
	dense := k
	if def != nil {
		dense = 0
		for _, d := range def {
			if d == r.maxDef {
				dense++
			}
		}
	}
	if err := r.convert(dense); err != nil {
		return err
	}
	r.value += dense
	r.out.spread(def, r.maxDef, k, dense)
	return nil
}

// listBuffers collects the offsets of a list column.
type listBuffers struct {
	offsets []int32
	valid   []byte
	nulls   int
	def     []byte // of the elements of one page
}

// readLists makes an array of n lists. A list may go on over a page's end.
func (r *columnReader) readLists(n int) (arrow.Array, error) {
	l := &r.lists
	l.offsets, l.valid, l.nulls = make([]int32, 0, n+1), nil, 0
	for done := false; !done; {
		if r.slot == r.slots {
			err := r.next()
			if err == io.EOF && len(l.offsets) == n {
				break // the last list ends with the row group
			}
			if err != nil {
				return nil, err
			}
		}
		l.def = l.def[:0]
		at := r.slot
		for ; at < r.slots; at++ {
			if r.rep[at] == 0 {
				if done = len(l.offsets) == n; done {
					break
				}
				if r.def[at] < r.there {
					l.valid = clearBit(l.valid, len(l.offsets), n)
					l.nulls++
				}
				l.offsets = append(l.offsets, int32(r.out.n+len(l.def)))
			}
			if r.def[at] >= r.some {
				l.def = append(l.def, r.def[at])
			}
		}
		r.slot = at
		if err := r.append(l.def, len(l.def)); err != nil {
			return nil, err
		}
	}
	l.offsets = append(l.offsets, int32(r.out.n))
	elements, err := r.out.array(r.field.Type.(*arrow.ListType).ElemField(), nil)
	if err != nil {
		return nil, err
	}
	buffers := []*memory.Buffer{bitmap(l.valid), memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(l.offsets))}
	return array.MakeFromData(array.NewData(r.field.Type, n, buffers, []arrow.ArrayData{elements.Data()}, l.nulls, 0)), nil
}

var errNotText = fmt.Errorf("a string in it is not UTF-8")
