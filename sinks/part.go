package sinks

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// part is one file being written. Its checksum is taken on the way, so that
// nothing is read twice.
type part struct {
	Part
	out  *output
	body body
	sum  hash.Hash
	enc  encoder
	pace *stages.Pace
}

// beginPart begins a part and the encoder on it.
func (o *output) beginPart(p Part, fm format, s *frame.Schema, first []frame.Frame) (*part, error) {
	b, err := o.place.begin(&p)
	if err != nil {
		return nil, err
	}
	t := &part{Part: p, out: o, body: b, sum: sha256.New(), pace: o.pace()}
	if t.enc, err = fm.open(t, s, first); err != nil {
		t.discard()
		return nil, err
	}
	return t, nil
}

// Write is the encoder's output.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.body.Write(b)
	p.sum.Write(b[:n])
	p.Bytes += int64(n)
	if err != nil {
		return n, failed("write", p.out.shown, err)
	}
	p.pace.Step()
	return n, nil
}

func (p *part) encode(frames []frame.Frame) error {
	for _, f := range frames {
		p.Rows += f.NumRows()
	}
	if err := p.enc.encode(frames); err != nil {
		return failed("write", p.out.shown, err)
	}
	return nil
}

// end writes what ends the file; the encoder is gone then.
func (p *part) end() error {
	err := p.enc.close()
	p.enc = nil
	if err != nil {
		p.discard()
		return failed("write", p.out.shown, err)
	}
	p.SHA256 = hex.EncodeToString(p.sum.Sum(nil))
	return nil
}

// seal forces the ended part to stable storage. Parts may be sealed at once by
// several goroutines: the wait is the same for one as for many.
func (p *part) seal() error {
	if err := p.body.seal(&p.Part); err != nil {
		p.discard()
		return failed("write", p.out.shown, err)
	}
	p.Created = time.Now().UTC()
	return nil
}

// discard removes the part.
func (p *part) discard() {
	ctx, cancel := lastly()
	defer cancel()
	p.body.discard(ctx)
}
