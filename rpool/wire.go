package rpool

import (
	"encoding/binary"
	"fmt"
)

// The wire between Go and one R process is a pair of FIFOs. A frame on it is
//
//	u64 length of the payload
//	u32 request id, which the answer repeats; below 1<<31
//	u8  kind
//	3 reserved bytes, zero
//	payload
//
// little-endian throughout. Payloads are streams of R's serialization (version
// 2, native little-endian), each one list. worker.R is the other end.
const headerSize = 16

// maxFrame is the longest payload either side accepts: R reads and writes at
// most so many bytes in one call.
const maxFrame = 1<<31 - 1

type frameKind uint8

const (
	// Requests: a Kind's number, then those of the package's own.
	frameMap  frameKind = 1  // list(fun, seed or NULL, raw serialized args or NULL, data)
	frameCall frameKind = 2  // list(NULL, seed or NULL, NULL, list(fun, args))
	frameHTTP frameKind = 3  // list(variables, headers, body's file, body), see http.go
	frameTask frameKind = 4  // see encodeTask
	framePing frameKind = 5  // nothing; a pending interrupt is swallowed
	frameLoad frameKind = 16 // an environment, see encodeLoad; once, first
	frameFork frameKind = 17 // an order to fork, see encodeFork; templates only
	frameTry  frameKind = 18 // list(R code); answered by pong or a condition
	frameExit frameKind = 19 // nothing; the handler's attribute "exit" is called

	// Answers.
	frameHello     frameKind = 32 // list(pid, nonce, tempdir); before anything is asked
	frameValue     frameKind = 33 // list(c(user, system), warnings, value)
	frameCondition frameKind = 34 // list(c(user, system), warnings, class, message, call, traceback)
	framePong      frameKind = 35 // nothing: to a ping, an exit, and a fork or a try that went well
	framePid       frameKind = 36 // list(pid) of a fork, from the process between; may follow hello
	frameProgress  frameKind = 37 // any value: of a task that goes on
	frameResult    frameKind = 38 // of a task: list(c(user, system), warnings, file, size, value)
	frameUnknown   frameKind = 39 // nothing: the task's plan is not here
)

type header struct {
	length uint64
	id     uint32
	kind   frameKind
}

func (h header) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, h.length)
	dst = binary.LittleEndian.AppendUint32(dst, h.id)
	return append(dst, byte(h.kind), 0, 0, 0)
}

// parseHeader reads a header of headerSize bytes and checks it against the
// limit on payloads, before anything is allocated for one.
func parseHeader(b []byte, limit int64) (header, error) {
	h := header{
		length: binary.LittleEndian.Uint64(b),
		id:     binary.LittleEndian.Uint32(b[8:]),
		kind:   frameKind(b[12]),
	}
	if b[13]|b[14]|b[15] != 0 || h.kind < frameHello || h.kind > frameUnknown {
		return header{}, fmt.Errorf("not a frame of rpipe: % x", b[:headerSize])
	}
	if h.length > uint64(limit) {
		return header{}, &FrameSizeError{Size: int64(min(h.length, 1<<62)), Limit: limit}
	}
	return h, nil
}

// FrameSizeError says that a request or a reply is larger than Options.MaxFrame.
type FrameSizeError struct {
	Size, Limit int64 // bytes
	Request     bool  // it was the request
}

func (e *FrameSizeError) Error() string {
	what := "reply"
	if e.Request {
		what = "request"
	}
	return fmt.Sprintf("rpool: %s of %d bytes is over the limit of %d bytes for one message (use smaller batches)",
		what, e.Size, e.Limit)
}
