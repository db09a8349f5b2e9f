package sinks

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
)

// partitioner divides frames by the values of some columns, row by row.
type partitioner struct {
	by   []string
	rest []string // the columns that stay in the files
}

// piece is the rows of a frame that go to one partition.
type piece struct {
	dir    string // col=value/col=value, escaped; "" without partitions
	values map[string]string
	frame  frame.Frame
}

// newPartitioner checks the columns against the schema of the first frame.
func newPartitioner(by []string, s *frame.Schema) (*partitioner, error) {
	p := &partitioner{by: by}
	for _, name := range by {
		at := s.FieldIndices(name)
		if len(at) == 0 {
			return nil, fmt.Errorf("partition_by names column %q, which the rows do not have; they have %s", name, strings.Join(names(s), ", "))
		}
		switch frame.KindOf(s.Field(at[0])) {
		case frame.KindBinary, frame.KindJSON, frame.KindList, frame.KindOther:
			return nil, fmt.Errorf("partition_by names column %q of type %s, whose values make no directory names", name, frame.TypeName(s.Field(at[0])))
		}
	}
	for _, f := range s.Fields() {
		if !slices.Contains(by, f.Name) {
			p.rest = append(p.rest, f.Name)
		}
	}
	if len(p.rest) == 0 {
		return nil, fmt.Errorf("partition_by names every column, so that none is left for the files")
	}
	return p, nil
}

func names(s *frame.Schema) []string {
	n := make([]string, s.NumFields())
	for i := range n {
		n[i] = s.Field(i).Name
	}
	return n
}

// split divides f. Pieces come in the order of their first row, and rows keep
// their order within a piece.
func (p *partitioner) split(f frame.Frame) ([]piece, error) {
	by := make([]arrow.Array, len(p.by))
	for i, name := range p.by {
		a, _, ok := frame.Lookup(f, name)
		if !ok {
			return nil, fmt.Errorf("partition column %q is missing", name)
		}
		by[i] = a
	}
	rest, err := frame.Select(f, p.rest)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	var rows [][]int32
	var first []int
	var key []byte
	for i := range int(f.NumRows()) {
		key = key[:0]
		for _, a := range by {
			// The length stands before the text, which may hold any byte.
			start := len(key)
			key = partitionText(append(key, 0, 0, 0, 0), a, i)
			binary.LittleEndian.PutUint32(key[start:], uint32(len(key)-start))
		}
		k, ok := at[string(key)]
		if !ok {
			k = len(rows)
			at[string(key)] = k
			rows = append(rows, nil)
			first = append(first, i)
		}
		rows[k] = append(rows[k], int32(i))
	}
	pieces := make([]piece, len(rows))
	for k := range rows {
		pieces[k] = p.name(by, first[k])
		if len(rows) == 1 {
			pieces[k].frame = rest
		} else if pieces[k].frame, err = frame.Take(rest, rows[k]); err != nil {
			return nil, err
		}
	}
	return pieces, nil
}

func (p *partitioner) name(by []arrow.Array, row int) piece {
	out := piece{values: map[string]string{}}
	dirs := make([]string, len(p.by))
	for i, name := range p.by {
		v := string(partitionText(nil, by[i], row))
		if v == nullMark {
			v, dirs[i] = partition.Null, partition.NullDir(name)
		} else {
			dirs[i] = partition.Dir(name, v)
		}
		out.values[name] = v
	}
	out.dir = strings.Join(dirs, "/")
	return out
}

// nullMark stands for a missing value in keys. No text has it: it is not UTF-8.
const nullMark = "\xff"

// partitionText appends value i as it stands in a directory's name, unescaped:
// the text of the CSV sink.
func partitionText(dst []byte, a arrow.Array, i int) []byte {
	return frame.AppendText(dst, a, i, frame.TextOptions{Null: nullMark})
}
