package broker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A file of a backup is a stream of frames, compressed with zstd: u32 length of a head,
// u32 length of the data, u32 CRC (Castagnoli) of both, head (JSON), data; little-endian.
// A head of length 0 ends it.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type frameHead struct {
	Subject string        `json:"s"`
	Time    time.Time     `json:"t"`
	TTL     time.Duration `json:"ttl,omitempty"`
	Chunks  string        `json:"c,omitempty"`
}

type archive struct {
	f *os.File
	z *zstd.Encoder
}

func createArchive(path string) (*archive, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &archive{f, z}, nil
}

func (a *archive) add(es []entry) error {
	for _, e := range es {
		head, err := json.Marshal(frameHead{e.Subject, e.Time, e.TTL, e.Chunks})
		if err != nil {
			return err
		}
		if err := a.frame(head, e.Data); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) frame(head, data []byte) error {
	var sizes [12]byte
	binary.LittleEndian.PutUint32(sizes[0:], uint32(len(head)))
	binary.LittleEndian.PutUint32(sizes[4:], uint32(len(data)))
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, data)
	binary.LittleEndian.PutUint32(sizes[8:], sum)
	for _, b := range [][]byte{sizes[:], head, data} {
		if _, err := a.z.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) close() error {
	return errors.Join(a.frame(nil, nil), a.z.Close(), a.f.Close())
}

// readArchive calls f with what is in a file, a few hundred at a time.
func readArchive(path string, f func([]entry) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	z, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer z.Close()
	r := bufio.NewReader(z)
	var es []entry
	size := 0
	for {
		e, err := readFrame(r)
		if err != nil && !errors.Is(err, errEnd) {
			return fmt.Errorf("%s is damaged or cut off: %w", path, err)
		}
		if err == nil {
			es = append(es, e)
			size += len(e.Data)
		}
		if err != nil || len(es) == batchMost || size > batchBytes {
			if fail := f(es); fail != nil {
				return fail
			}
			es, size = nil, 0
		}
		if err != nil {
			return nil
		}
	}
}

// readFrame reads a message; errEnd is the end.
func readFrame(r io.Reader) (e entry, err error) {
	var sizes [12]byte
	if _, err := io.ReadFull(r, sizes[:]); err != nil {
		return e, err
	}
	heads, datas := binary.LittleEndian.Uint32(sizes[0:]), binary.LittleEndian.Uint32(sizes[4:])
	if heads == 0 {
		return e, errEnd
	}
	if heads > 1<<16 || datas > maxPayload {
		return e, fmt.Errorf("a message of %d and %d bytes", heads, datas)
	}
	buf := make([]byte, heads+datas)
	if _, err := io.ReadFull(r, buf); err != nil {
		return e, err
	}
	if crc32.Checksum(buf, castagnoli) != binary.LittleEndian.Uint32(sizes[8:]) {
		return e, errors.New("a checksum does not fit")
	}
	var head frameHead
	if err := json.Unmarshal(buf[:heads], &head); err != nil {
		return e, err
	}
	return entry{head.Subject, head.Time, head.TTL, head.Chunks, buf[heads:]}, nil
}
