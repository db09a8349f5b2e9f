package sinks

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
)

// storage is the file that a part is written to. It is an interface so that
// tests can put a file on a full device in its place.
type storage interface {
	io.WriteCloser
	Sync() error
}

func createFile(path string) (storage, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// part is one file being written under its temporary name. Its checksum is
// taken on the way, so that nothing is read twice.
type part struct {
	Part
	out  *output
	file storage
	sum  hash.Hash
	enc  encoder
}

// begin creates the temporary file of a part and the encoder on it.
func (o *output) begin(p Part, fm format, s *frame.Schema, first []frame.Frame) (*part, error) {
	f, err := o.create(o.abs(p.Temp))
	if err != nil {
		return nil, failed("create a file in", o.shown, err)
	}
	t := &part{Part: p, out: o, file: f, sum: sha256.New()}
	if t.enc, err = fm.open(t, s, first); err != nil {
		t.discard()
		return nil, err
	}
	return t, nil
}

// Write is the encoder's output.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.sum.Write(b[:n])
	p.Bytes += int64(n)
	if err != nil {
		return n, failed("write", p.out.shown, err)
	}
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

// seal forces the ended file to stable storage. Parts may be sealed at once by
// several goroutines: the disk's wait is the same for one as for many.
func (p *part) seal() error {
	err := p.file.Sync()
	if e := p.file.Close(); err == nil {
		err = e // NFS tells of a full disk here
	}
	p.file = nil
	if err != nil {
		p.discard()
		return failed("write", p.out.shown, err)
	}
	p.Created = time.Now().UTC()
	return nil
}

// discard closes and removes the temporary file.
func (p *part) discard() {
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
	os.Remove(p.out.abs(p.Temp))
}
