package rdata

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Format is a form of stream. The zero value is version 2, native little-endian:
// any R reads it, and this package and R fastest.
type Format struct {
	Version int  // 2 (0 too) or 3
	XDR     bool // big-endian, which some readers other than R insist on
}

// The versions of R in a header: that which wrote the stream, and the oldest that
// can read it.
const (
	writtenByR = 4<<16 | 2<<8 | 2
	readableV2 = 2<<16 | 3<<8
	readableV3 = 3<<16 | 5<<8
)

// Append appends v as a whole stream, with its header.
func Append(dst []byte, v Value, f Format) ([]byte, error) {
	e := Encoder{Buf: dst, big: f.XDR}
	if err := e.header(f); err != nil {
		return dst, err
	}
	if err := e.Value(v); err != nil {
		return dst, fmt.Errorf("rdata: write: %w", err)
	}
	return e.Buf, nil
}

func (e *Encoder) header(f Format) error {
	if f.XDR {
		e.Bytes([]byte("X\n"))
	} else {
		e.Bytes([]byte("B\n"))
	}
	switch f.Version {
	case 0, 2:
		e.word(2)
		e.word(writtenByR)
		e.word(readableV2)
	case 3:
		e.word(3)
		e.word(writtenByR)
		e.word(readableV3)
		e.word(5)
		e.Bytes([]byte("UTF-8"))
	default:
		return fmt.Errorf("rdata: write: version %d of the format is unknown; there are 2 and 3", f.Version)
	}
	return nil
}

// Unmarshal reads a whole stream, with its header, that is not compressed.
func Unmarshal(b []byte, lim *Limits) (Value, error) {
	d, err := newDecoder(b, lim)
	if err != nil {
		return nil, err
	}
	if err := d.header(); err != nil {
		return nil, err
	}
	return d.whole()
}

// whole reads the one item that is left.
func (d *decoder) whole() (Value, error) {
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	if d.left() > 0 {
		return nil, d.errorf("%d bytes after the end of the object", d.left())
	}
	return v, nil
}

func (d *decoder) header() error {
	magic, err := d.take(2, "the header")
	if err != nil {
		return err
	}
	switch string(magic) {
	case "X\n":
		d.big = true
	case "B\n":
		// "native" is that of the writer: a version that is huge is swapped
		d.big = d.left() >= 4 && binary.LittleEndian.Uint32(d.b[d.p:]) > 1<<16
	case "A\n":
		return d.errorAt(0, "the ascii form is not supported; write it with ascii = FALSE")
	case "RD":
		return d.errorAt(0, "a file of save(), which may hold many objects; write one with saveRDS()")
	default:
		return d.errorAt(0, "not R's serialization: it begins with %q in place of \"X\\n\" or \"B\\n\"", magic)
	}
	version, err := d.word()
	if err != nil {
		return err
	}
	if version != 2 && version != 3 {
		return d.errorAt(2, "version %d of the format is not supported; there are 2 and 3", version)
	}
	if _, err := d.take(8, "the header"); err != nil { // versions of R
		return err
	}
	if version == 2 {
		return nil
	}
	n, err := d.int()
	if err != nil {
		return err
	}
	name, err := d.take(n, "the header")
	if err != nil {
		return err
	}
	d.native = nativeEncoding(string(name))
	return nil
}

// Encode writes v as a whole stream to w, in one Write.
func Encode(w io.Writer, v Value, f Format) error {
	b, err := Append(nil, v, f)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Decode reads a whole stream from r until its end. It may be compressed, as
// .rds files are.
func Decode(r io.Reader, lim *Limits) (Value, error) {
	l := lim.orDefaults()
	r, c, err := Decompress(r)
	if err != nil {
		return nil, err
	}
	b, err := readAll(r, l.MaxBytes)
	if err != nil {
		if c == None {
			return nil, err
		}
		return nil, fmt.Errorf("rdata: %v data: %w", c, err)
	}
	return Unmarshal(b, &l)
}

// readAll reads what is there, and no more memory than its double is made.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b := make([]byte, 0, 4096)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if int64(len(b)) > limit {
			return nil, &SyntaxError{limit, fmt.Sprintf("more than the limit of %d bytes", limit)}
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}
