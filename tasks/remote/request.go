package remote

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/rvalue"
)

// mapSource is an R function that does with a request what the worker of a pool does.
//
//go:embed map.R
var mapSource string

// resultTTL is how long a job stays after its end where nobody deletes it.
const resultTTL = 6 * time.Hour

// submission is a request as a job. The data.frame is its element, which workers do not
// keep, as they do arguments.
func submission(req *rpool.Request) (*api.Submission, error) {
	if req.Kind != rpool.Map {
		return nil, fmt.Errorf("a request of kind %d cannot run on a queue", req.Kind)
	}
	source, err := json.Marshal(mapSource)
	if err != nil {
		return nil, err
	}
	fun, err := json.Marshal(req.Fun)
	if err != nil {
		return nil, err
	}
	args := api.Args{{Name: "fun", Value: api.Value{JSON: fun}}}
	add := func(name string, v rdata.Value) {
		if err == nil {
			var b []byte
			b, err = rdata.Append(nil, v, rdata.Format{})
			args = append(args, api.Arg{Name: name, Value: api.Value{R: b}})
		}
	}
	if req.Coded != nil {
		add("coded", &rdata.Integer{Values: req.Coded})
	}
	if req.Seed != nil {
		add("seed", &rdata.Integer{Values: req.Seed[:]})
	}
	if err != nil {
		return nil, err
	}
	if req.Args != nil {
		args = append(args, api.Arg{Name: "args", Value: api.Value{R: append(rdata.AppendHeader(nil), req.Args...)}})
	}
	over := rdata.Encoder{Buf: rdata.AppendHeader(make([]byte, 0, len(req.Data)+64))}
	over.VectorHead(rdata.KindList, 1, false, false)
	over.Bytes(req.Data)
	return &api.Submission{
		Name: req.Label, Fun: &api.Value{JSON: source}, Args: args,
		Over: &api.Value{R: over.Buf}, OverName: "data",
		Timeout: api.Duration(req.Timeout), Isolate: req.Isolate,
		// Those who ask try again where they want to.
		Retry:     &api.Retry{Errors: 1, Timeouts: 1, Lost: 1},
		ResultTTL: api.Duration(resultTTL),
	}, nil
}

// item is the value of a stream without its header, as a worker of a pool returns it.
func item(stream []byte) ([]byte, error) {
	stream, err := rvalue.Normalize(stream)
	if err != nil {
		return nil, err
	}
	if len(stream) < rdata.HeaderSize {
		return nil, fmt.Errorf("value of R: %d bytes", len(stream))
	}
	return stream[rdata.HeaderSize:], nil
}
