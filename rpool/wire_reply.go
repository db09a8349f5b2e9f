package rpool

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
)

var errReply = errors.New("rpool: the R process sent a reply that makes no sense")

// items reads the leading elements of a reply's list: plain vectors without
// attributes, as worker.R writes them. What remains in b is the value, which is
// handed on unread.
type items struct {
	b   []byte
	err error
}

// open checks the stream's header and the list's head and returns its length.
func (p *items) open() int {
	if len(p.b) < len(streamHeader) || string(p.b[:6]) != streamHeader[:6] {
		p.err = errReply
		return 0
	}
	p.b = p.b[len(streamHeader):]
	return p.head(rdata.KindList)
}

func (p *items) word() uint32 {
	if len(p.b) < 4 {
		p.err, p.b = errReply, nil
		return 0
	}
	w := binary.LittleEndian.Uint32(p.b)
	p.b = p.b[4:]
	return w
}

func (p *items) bytes(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.err, p.b = errReply, nil
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

const (
	flagMask = 0x700 // object, attributes, tag
	nilItem  = 254
)

// head reads the head of a plain vector of the kind given; NULL counts as one of
// length 0.
func (p *items) head(kind rdata.Kind) int {
	switch w := p.word(); {
	case p.err != nil:
		return 0
	case w == nilItem:
		return 0
	case w&0xff != uint32(kind) || w&flagMask != 0:
		p.err = errReply
		return 0
	}
	n := p.word()
	if uint64(n) > uint64(len(p.b)) { // every element takes a byte or more
		p.err = errReply
		return 0
	}
	return int(n)
}

func (p *items) doubles() []float64 {
	n := p.head(rdata.KindDouble)
	b := p.bytes(8 * uint64(n))
	if p.err != nil {
		return nil
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return v
}

func (p *items) integer() int {
	if p.head(rdata.KindInteger) != 1 {
		p.err = errReply
	}
	return int(int32(p.word()))
}

// strings reads a character vector; worker.R sends UTF-8.
func (p *items) strings() []string {
	v := p.rawStrings()
	for i := range v {
		v[i] = strings.ToValidUTF8(v[i], "\uFFFD")
	}
	return v
}

// rawStrings reads a character vector of bytes, in whatever encoding.
func (p *items) rawStrings() []string {
	n := p.head(rdata.KindCharacter)
	if n == 0 {
		return nil
	}
	v := make([]string, 0, n)
	for range n {
		p.word()
		size := p.word()
		if size == math.MaxUint32 { // NA
			v = append(v, "NA")
			continue
		}
		v = append(v, string(p.bytes(uint64(size))))
	}
	if p.err != nil {
		return nil
	}
	return v
}

func (p *items) text() string { return strings.Join(p.strings(), "\n") }

// cpu reads c(user, system) in seconds.
func (p *items) cpu() (user, system time.Duration) {
	v := p.doubles()
	if len(v) != 2 {
		p.err = errReply
		return 0, 0
	}
	return seconds(v[0]), seconds(v[1])
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// decodeValue reads a frameValue. Reply.Data shares the payload's memory.
func decodeValue(payload []byte) (*Reply, error) {
	p := items{b: payload}
	if p.open() != 3 {
		return nil, errReply
	}
	var r Reply
	r.User, r.System = p.cpu()
	r.Warnings = p.strings()
	r.Data = p.b
	return &r, p.err
}

// decodeCondition reads a frameCondition.
func decodeCondition(payload []byte) (*ConditionError, error) {
	p := items{b: payload}
	if p.open() != 6 {
		return nil, errReply
	}
	var e ConditionError
	e.User, e.System = p.cpu()
	e.Warnings = p.strings()
	e.Classes = p.strings()
	e.Message = p.text()
	e.Call = p.text()
	e.Traceback = p.strings()
	return &e, p.err
}

// decodeHello reads a frameHello.
func decodeHello(payload []byte) (pid int, nonce, tempdir string, err error) {
	p := items{b: payload}
	if p.open() != 3 {
		return 0, "", "", errReply
	}
	pid, nonce, tempdir = p.integer(), p.text(), p.text()
	return pid, nonce, tempdir, p.err
}

// decodePid reads a framePid.
func decodePid(payload []byte) (int, error) {
	p := items{b: payload}
	if p.open() != 1 {
		return 0, errReply
	}
	return p.integer(), p.err
}

// loaded is what an R process tells of itself once its environment stands.
type loaded struct {
	warnings []string
	version  string   // "4.2.2"
	platform string   // "x86_64-pc-linux-gnu"
	libPaths []string // .libPaths()
	unsafe   []string // loaded packages whose state does not survive a fork
	versions []string // of the packages asked for, in order; "" is not installed
	about    string   // attribute "about" of the handler; "" for none
	exits    bool     // the handler has an attribute "exit"
}

// decodeLoaded reads the answer to a frameLoad.
func decodeLoaded(payload []byte) (*loaded, error) {
	p := items{b: payload}
	if p.open() != 9 {
		return nil, errReply
	}
	p.cpu()
	l := loaded{
		warnings: p.strings(), version: p.text(), platform: p.text(),
		libPaths: p.strings(), unsafe: p.strings(), versions: p.strings(), about: p.text(),
	}
	l.exits = p.integer() != 0
	return &l, p.err
}
