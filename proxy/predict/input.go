package predict

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// input is the rows of a request: those that are as they should be, and what is
// wrong with the others.
type input struct {
	media  media
	form   form        // of JSON
	rows   int         // of the request
	frame  frame.Frame // the good ones; nil where there are none
	place  []int32     // where each of those stands in the request; nil where all are good
	errors []*RowError // of the others, in order
}

// form is the shape of a JSON document.
type form int

const (
	formRows      form = iota // [{…}, {…}]
	formObject                // {…}, one row
	formWrapped               // {"rows": [{…}, {…}]}
	formInstances             // {"instances": [{…}, {…}]}
	formColumns               // {"a": […], "b": […]}, also under "columns"
)

// reader reads the body of a request.
type reader struct {
	schema  *schema
	maxRows int
}

// read makes an input of a body. The error is a *fault.Fault.
func (r *reader) read(m media, body []byte) (in *input, err error) {
	switch m {
	case mediaCSV:
		in, err = r.csv(body)
	case mediaNDJSON:
		in, err = r.ndjson(body)
	case mediaArrowStream, mediaArrowFile:
		in, err = r.arrow(body, m == mediaArrowFile)
	default:
		in, err = r.json(body)
	}
	if err != nil {
		return nil, err
	}
	in.media = m
	return in, r.judge(in)
}

// judge takes the rows out that break the schema's rules.
func (r *reader) judge(in *input) error {
	if in.frame == nil {
		return nil
	}
	bad := r.schema.check(in.frame, in.place)
	if len(bad) == 0 {
		return nil
	}
	at := 0
	var good []int32
	var place []int32
	for i := range int(in.frame.NumRows()) {
		p := placeOf(in.place, i)
		if at < len(bad) && bad[at].Index == p {
			at++
			continue
		}
		good, place = append(good, int32(i)), append(place, int32(p))
	}
	in.errors = append(in.errors, bad...)
	sortErrors(in.errors)
	if len(good) == 0 {
		in.frame, in.place = nil, nil
		return nil
	}
	f, err := frame.Take(in.frame, good)
	if err != nil {
		return badRequest("rows: %v", err)
	}
	in.frame, in.place = f, place
	return nil
}

func sortErrors(errs []*RowError) {
	slices.SortStableFunc(errs, func(a, b *RowError) int { return a.Index - b.Index })
}

// tooMany refuses more rows than a request may have.
func (r *reader) tooMany(rows int) error {
	if rows >= 0 && rows <= r.maxRows { // a sum that is too large for an int is negative
		return nil
	}
	return fault.New(http.StatusRequestEntityTooLarge, "too_many_rows",
		fmt.Sprintf("more than %d rows in one request; send them in several", r.maxRows))
}

// columns finds where the schema's columns are among those of a request that has
// the same for all rows; -1 for one that may be left out.
func (r *reader) columns(have []string) ([]int, error) {
	at := make([]int, r.schema.NumFields())
	e := invalid(0)
	for i, name := range columnNames(r.schema.Schema) {
		at[i] = slices.Index(have, name)
		if at[i] < 0 && r.schema.rules[i].required {
			e.add(name, "is missing")
		}
	}
	if r.schema.extra {
		for _, name := range have {
			if !r.schema.HasField(name) {
				e.add(name, "is not expected")
			}
		}
	}
	if len(e.Columns) > 0 {
		return nil, fault.New(http.StatusUnprocessableEntity, "invalid", e.Text())
	}
	return at, nil
}

// maxColumns is how many columns a request may have. Each takes memory, however few
// bytes of the request it took.
const maxColumns = 100_000

// distinct refuses columns of one name, and too many.
func distinct(names []string) error {
	if len(names) > maxColumns {
		return fault.New(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("more than %d columns", maxColumns))
	}
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		switch {
		case n == "":
			return badRequest("a column has no name")
		case seen[n]:
			return badRequest("column %q comes twice", clip(n))
		}
		seen[n] = true
	}
	return nil
}

func badRequest(format string, args ...any) error {
	return fault.New(http.StatusBadRequest, "bad_request", fmt.Sprintf(format, args...))
}

// unknown marks columns of nothing but null, whose type nobody knows: R sees NA, and
// rows of other requests may have any type there.
func unknown(f frame.Frame) frame.Frame {
	columns := slices.Clone(f.Schema().Fields())
	cols := slices.Clone(f.Columns())
	changed := false
	for i, a := range cols {
		if a.NullN() < a.Len() {
			continue
		}
		changed = true
		columns[i].Type = arrow.FixedWidthTypes.Boolean
		columns[i].Metadata = arrow.MetadataFrom(map[string]string{frame.MetaUnknown: "1"})
		c := frame.NewColumn(columns[i], a.Len())
		c.AppendNulls(a.Len())
		cols[i], _ = c.Array() // nulls have no limit
	}
	if !changed {
		return f
	}
	return frame.New(arrow.NewSchema(columns, nil), cols, int(f.NumRows()))
}
