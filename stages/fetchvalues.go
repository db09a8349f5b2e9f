package stages

import (
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/webapi"
)

// rowValues fills the templates of one request of one row.
type rowValues struct {
	request *compiledRequest
	columns []int // by ref, of frame
	frame   frame.Frame
	row     int
	answers []fetchAnswer // of the earlier requests
}

// Text implements webapi.Values.
func (v *rowValues) Text(dst []byte, p *webapi.Place) ([]byte, bool) {
	if i := v.columns[p.Ref]; i >= 0 {
		col := v.frame.Column(i)
		if col.IsNull(v.row) {
			return dst, false
		}
		return frame.AppendText(dst, col, v.row, frame.TextOptions{}), true
	}
	value, ok := v.answered(p)
	if !ok {
		return dst, false
	}
	return ndjson.Text(dst, value)
}

// JSON implements webapi.Values.
func (v *rowValues) JSON(dst []byte, p *webapi.Place) ([]byte, bool) {
	if i := v.columns[p.Ref]; i >= 0 {
		col := v.frame.Column(i)
		if col.IsNull(v.row) {
			return dst, false
		}
		return frame.AppendJSON(dst, v.frame.Schema().Field(i), col, v.row), true
	}
	value, ok := v.answered(p)
	if !ok || value[0] == 'n' {
		return dst, false
	}
	return append(dst, value...), true
}

// answered is the value of a place in an earlier answer.
func (v *rowValues) answered(p *webapi.Place) ([]byte, bool) {
	ref := v.request.refs[p.Ref]
	a := &v.answers[ref.request]
	if a.document == nil {
		return nil, false
	}
	return ref.path.Find(a.document)
}
