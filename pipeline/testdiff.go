package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// RowDiff is one row that is not as it should be.
type RowDiff struct {
	Row   int        `json:"row"`  // from 1: of the output; of the expected rows where it is missing
	Kind  string     `json:"kind"` // differs, missing or unexpected
	Cells []CellDiff `json:"cells"`
}

// CellDiff is a value beside the expected one, as texts. One of them is empty
// where the row is missing or unexpected.
type CellDiff struct {
	Column   string `json:"column"`
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
	Same     bool   `json:"same,omitempty"`
}

// Kinds of RowDiff.
const (
	RowDiffers    = "differs"
	RowMissing    = "missing"
	RowUnexpected = "unexpected"
)

// comparison holds rows that are there against expected ones.
type comparison struct {
	want      []configs.Object
	got       frame.Frame
	columns   []string // that are compared
	tolerance float64
}

// equal says how the rows differ from just the expected ones; "" where they do not.
func (c *comparison) equal(anyOrder bool) (message string, diffs []RowDiff) {
	if len(c.want) > 0 {
		if message := c.otherColumns(); message != "" {
			return message, nil
		}
	}
	if anyOrder {
		diffs = c.match(true)
	} else {
		diffs = c.inOrder()
	}
	if len(diffs) == 0 {
		return "", nil
	}
	if rows := int(c.got.NumRows()); rows != len(c.want) {
		return fmt.Sprintf("%s, not %d", plural(rows, "row"), len(c.want)), diffs
	}
	return fmt.Sprintf("%d of %s differ", len(diffs), plural(len(c.want), "row")), diffs
}

// contains says which of the expected rows are not there.
func (c *comparison) contains() (message string, diffs []RowDiff) {
	if diffs = c.match(false); len(diffs) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d of %s not there, among %s", len(diffs), plural(len(c.want), "row"), plural(int(c.got.NumRows()), "row")), diffs
}

// otherColumns says which columns only one side has, and fills in those of both.
func (c *comparison) otherColumns() string {
	var names, have, missing, extra []string
	for _, row := range c.want {
		for _, m := range row {
			if !slices.Contains(names, m.Key) {
				names = append(names, m.Key)
			}
		}
	}
	for _, f := range c.got.Schema().Fields() {
		have = append(have, f.Name)
		if !slices.Contains(names, f.Name) {
			extra = append(extra, f.Name)
		}
	}
	for _, name := range names {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	c.columns = names
	switch {
	case len(missing) > 0:
		text := "there is no column " + missing[0]
		if hint := configs.DidYouMean(missing[0], have); hint != "" {
			text += "; " + hint
		}
		return text
	case len(extra) > 0:
		return fmt.Sprintf("the column %s is in no expected row; name it, or use contains, which compares the named columns alone", strings.Join(extra, ", "))
	}
	return ""
}

func (c *comparison) inOrder() (diffs []RowDiff) {
	rows := int(c.got.NumRows())
	for i := range max(rows, len(c.want)) {
		switch {
		case i >= rows:
			diffs = append(diffs, c.missing(i))
		case i >= len(c.want):
			diffs = append(diffs, c.unexpected(i))
		case !c.same(i, i):
			diffs = append(diffs, c.differs(i, i))
		}
	}
	return diffs
}

// match finds a row for each expected one. Of those that find none it shows the
// row that is nearest. all says that every row has to be expected.
func (c *comparison) match(all bool) (diffs []RowDiff) {
	taken := make([]bool, c.got.NumRows())
	var lost []int
	for i := range c.want {
		if at := c.find(i, taken); at >= 0 {
			taken[at] = true
		} else {
			lost = append(lost, i)
		}
	}
	for _, i := range lost {
		best, most := -1, 0
		for k := range taken {
			if n := c.alike(i, k); !taken[k] && n > most {
				best, most = k, n
			}
		}
		if best < 0 {
			diffs = append(diffs, c.missing(i))
			continue
		}
		if all {
			taken[best] = true
		}
		diffs = append(diffs, c.differs(i, best))
	}
	for k := range taken {
		if all && !taken[k] {
			diffs = append(diffs, c.unexpected(k))
		}
	}
	return diffs
}

// find is a row like the expected one that no other has taken; -1 for none.
func (c *comparison) find(want int, taken []bool) int {
	for k, is := range taken {
		if !is && c.same(want, k) {
			return k
		}
	}
	return -1
}

// same reports whether a row is as expected.
func (c *comparison) same(want, got int) bool {
	for _, name := range c.columnsOf(want) {
		if !c.sameCell(want, got, name) {
			return false
		}
	}
	return true
}

// alike counts the values that are equal.
func (c *comparison) alike(want, got int) (n int) {
	for _, name := range c.columnsOf(want) {
		if c.sameCell(want, got, name) {
			n++
		}
	}
	return n
}

// columnsOf are those in which an expected row is compared: all, or its own.
func (c *comparison) columnsOf(want int) []string {
	if c.columns != nil {
		return c.columns
	}
	var names []string
	for _, m := range c.want[want] {
		names = append(names, m.Key)
	}
	return names
}

func (c *comparison) sameCell(want, got int, name string) bool {
	col, field, ok := frame.Lookup(c.got, name)
	return ok && matches(member(c.want[want], name), field, col, got, c.tolerance)
}

func member(row configs.Object, name string) any {
	for _, m := range row {
		if m.Key == name {
			return m.Value
		}
	}
	return nil
}

func (c *comparison) differs(want, got int) RowDiff {
	d := RowDiff{Row: got + 1, Kind: RowDiffers}
	for _, name := range c.columnsOf(want) {
		d.Cells = append(d.Cells, CellDiff{
			Column: name, Expected: shownValue(member(c.want[want], name)), Got: c.shown(got, name),
			Same: c.sameCell(want, got, name),
		})
	}
	return d
}

func (c *comparison) missing(want int) RowDiff {
	d := RowDiff{Row: want + 1, Kind: RowMissing}
	for _, name := range c.columnsOf(want) {
		d.Cells = append(d.Cells, CellDiff{Column: name, Expected: shownValue(member(c.want[want], name))})
	}
	return d
}

func (c *comparison) unexpected(got int) RowDiff {
	d := RowDiff{Row: got + 1, Kind: RowUnexpected}
	for _, f := range c.got.Schema().Fields() {
		d.Cells = append(d.Cells, CellDiff{Column: f.Name, Got: c.shown(got, f.Name)})
	}
	return d
}

// shown is a value that is there; a column that is not there has none.
func (c *comparison) shown(got int, name string) string {
	col, field, ok := frame.Lookup(c.got, name)
	if !ok {
		return "no column"
	}
	value := cellValue(field, col, got)
	switch frame.KindOf(field) {
	case frame.KindJSON, frame.KindList:
		if text, ok := value.(string); ok {
			return text
		}
	}
	return shownValue(value)
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
