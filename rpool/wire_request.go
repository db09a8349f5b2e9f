package rpool

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/rdata"
)

// streamHeader begins a native binary stream of version 2: the version, the
// writer's R version (any will do) and the oldest R that can read it, 2.3.0.
const streamHeader = "B\n\x02\x00\x00\x00\x02\x02\x04\x00\x00\x03\x02\x00"

// splice is a request in two parts, so that a large value is not copied: head
// holds the frame's header and what comes before the value.
type splice struct {
	head []byte
	tail []byte
	err  error // it holds what R has no string for, and must not be sent
}

// finish is the frame that e has begun, with a value to follow.
func finish(e *rdata.Encoder, tail []byte) splice {
	s := splice{head: e.Buf, tail: tail}
	if err := e.Err(); err != nil {
		s.err = fmt.Errorf("rpool: write a request to R: %w", err)
	}
	return s
}

func (s splice) size() int64 { return int64(len(s.head) + len(s.tail) - headerSize) }

// seal fills in the header that begin left room for.
func (s splice) seal(id uint32, kind frameKind) {
	header{length: uint64(s.size()), id: id, kind: kind}.append(s.head[:0])
}

// begin starts a frame whose payload is a list of n elements.
func begin(e *rdata.Encoder, n int) {
	e.Reset()
	clear(e.Grow(headerSize))
	e.Bytes([]byte(streamHeader))
	e.VectorHead(rdata.KindList, n, false, false)
}

// encodeRequest writes a map or a call. The value stands last and verbatim: R's
// reference table belongs to a stream, so nothing before it may hold a symbol.
// Args have names, hence symbols, and travel as a stream of their own in a raw
// vector.
func encodeRequest(e *rdata.Encoder, r *Request) splice {
	switch r.Kind {
	case HTTP:
		return encodeHTTP(e, r.HTTP)
	case Task:
		return encodeTask(e, r, false)
	}
	begin(e, 5)
	switch {
	case r.traceparent != "":
		e.Strs(r.Fun, r.traceparent, r.tracestate)
	case r.Kind == Map:
		e.Strs(r.Fun)
	default:
		e.Null()
	}
	if r.Seed == nil {
		e.Null()
	} else {
		e.VectorHead(rdata.KindInteger, len(r.Seed), false, false)
		e.Int32s(r.Seed[:])
	}
	if len(r.Args) == 0 {
		e.Null()
	} else {
		e.VectorHead(rdata.KindRaw, len(streamHeader)+len(r.Args), false, false)
		e.Bytes([]byte(streamHeader))
		e.Bytes(r.Args)
	}
	if len(r.Coded) == 0 {
		e.Null()
	} else {
		e.VectorHead(rdata.KindInteger, len(r.Coded), false, false)
		e.Int32s(r.Coded)
	}
	if len(r.Data) == 0 {
		e.Null()
	}
	return finish(e, r.Data)
}

// encodeLoad writes an environment for load_environment() in template.R. Ask
// are packages whose versions the answer shall tell.
func encodeLoad(e *rdata.Encoder, env *Environment, limit int64, ask []string) splice {
	names, values := make([]string, 0, len(env.Options)), make([]string, 0, len(env.Options))
	for _, name := range sortedKeys(env.Options) {
		names, values = append(names, name), append(values, env.Options[name])
	}
	begin(e, 9)
	e.VectorHead(rdata.KindDouble, 1, false, false)
	e.Float64s([]float64{float64(limit)})
	e.Strs(names...)
	e.Strs(values...)
	e.Strs(env.Packages...)
	e.Strs(env.Sources...)
	e.Strs(env.Setup)
	e.Strs(env.Handler)
	e.Strs(env.User)
	e.Strs(ask...)
	return finish(e, nil)
}

// encodeFork writes an order for fork_process() in template.R. Index counts workers
// from 1 and picks the random number stream; 0 leaves the template's, for a standby.
// Before and after are R code, run in the template and in the fork.
func encodeFork(e *rdata.Encoder, dir, nonce string, index int, before, after string) splice {
	begin(e, 5)
	e.Strs(dir)
	e.Strs(nonce)
	e.VectorHead(rdata.KindInteger, 1, false, false)
	e.Int32s([]int32{int32(index)})
	e.Strs(before)
	e.Strs(after)
	return finish(e, nil)
}

// encodeTry writes R code for try_code() in template.R.
func encodeTry(e *rdata.Encoder, code string) splice {
	begin(e, 1)
	e.Strs(code)
	return finish(e, nil)
}

func encodePing(e *rdata.Encoder) splice {
	e.Reset()
	clear(e.Grow(headerSize))
	return finish(e, nil)
}
