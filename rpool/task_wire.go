package rpool

import (
	_ "embed"
	"strconv"

	"github.com/rpipe-dev/rpipe/rdata"
)

//go:embed task.R
var taskScript []byte

// encodeTask writes a task for task() in task.R, with its plan where the worker does
// not have it.
func encodeTask(e *rdata.Encoder, r *Request, plan bool) splice {
	c := r.Task
	begin(e, 8)
	e.Strs(c.Plan.Key)
	if r.Seed == nil {
		e.Null()
	} else {
		e.VectorHead(rdata.KindInteger, len(r.Seed), false, false)
		e.Int32s(r.Seed[:])
	}
	if r.traceparent == "" {
		e.Strs(c.ID, strconv.Itoa(c.Attempt), c.Worker)
	} else {
		e.Strs(c.ID, strconv.Itoa(c.Attempt), c.Worker, r.traceparent, r.tracestate)
	}
	integers(e, truth(r.Events != nil))
	switch {
	case c.Result == "":
		e.Null()
	case c.elsewhere:
		e.Strs("")
	default:
		e.Strs(c.Result)
	}
	most := c.MaxInline
	orElse(&most, maxInline)
	doubles(e, float64(most))
	if plan {
		encodePlan(e, c.Plan)
	} else {
		e.Null()
	}
	if c.ElementFile != "" {
		e.Strs(c.ElementFile)
		return finish(e, nil)
	}
	if c.Element == nil {
		e.Null()
		return finish(e, nil)
	}
	e.VectorHead(rdata.KindRaw, len(c.Element), false, false)
	return finish(e, c.Element)
}

// encodePlan writes what learn() in task.R reads.
func encodePlan(e *rdata.Encoder, p *TaskPlan) {
	e.VectorHead(rdata.KindList, 9, false, false)
	integers(e, truth(p.Text))
	integers(e, truth(p.Expr))
	integers(e, truth(p.Rows))
	e.Strs(p.Over)
	e.Strs(p.Packages...)
	cache := p.Cache
	if cache == 0 {
		cache = 256 << 20
	}
	doubles(e, float64(cache))
	names := make([]string, len(p.Args))
	for i, a := range p.Args {
		names[i] = a.Name
	}
	e.Strs(names...)
	encodeTaskValue(e, &p.Code)
	e.VectorHead(rdata.KindList, len(p.Args), false, false)
	for i := range p.Args {
		encodeTaskValue(e, &p.Args[i].TaskValue)
	}
}

// encodeTaskValue writes what value_of() in task.R reads.
func encodeTaskValue(e *rdata.Encoder, v *TaskValue) {
	e.VectorHead(rdata.KindList, 6, false, false)
	e.Strs(v.Key)
	e.Strs(v.File)
	doubles(e, float64(v.bytes()))
	if v.File != "" {
		e.Null()
	} else {
		e.VectorHead(rdata.KindRaw, len(v.Data), false, false)
		e.Bytes(v.Data)
	}
	integers(e, int32(v.Count))
	e.Strs(v.Names...)
}

// bytes is how much v takes, serialized.
func (v *TaskValue) bytes() int64 {
	if v.File != "" {
		return v.Size
	}
	return int64(len(v.Data))
}

func integers(e *rdata.Encoder, v ...int32) {
	e.VectorHead(rdata.KindInteger, len(v), false, false)
	e.Int32s(v)
}

func doubles(e *rdata.Encoder, v ...float64) {
	e.VectorHead(rdata.KindDouble, len(v), false, false)
	e.Float64s(v)
}

func truth(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// decodeResult reads a frameResult. Reply.Data shares the payload's memory: the
// header of its stream takes the place of what stood before the value.
func decodeResult(payload []byte) (*Reply, error) {
	p := items{b: payload}
	if p.open() != 5 {
		return nil, errReply
	}
	var r Reply
	r.User, r.System = p.cpu()
	r.Warnings = p.strings()
	r.File = p.text()
	if size := p.doubles(); len(size) == 1 {
		r.Size = int64(size[0])
	} else {
		p.err = errReply
	}
	if p.err != nil {
		return nil, p.err
	}
	if r.File != "" {
		return &r, nil
	}
	r.Data = payload[len(payload)-len(p.b)-len(streamHeader):]
	copy(r.Data, streamHeader)
	r.Size = int64(len(r.Data))
	return &r, nil
}
