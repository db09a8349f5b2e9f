package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// reference is the name of b.
func reference(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// digest is the name of what r yields, and how much that is.
func digest(r io.Reader) (ref string, size int64, err error) {
	h := sha256.New()
	size, err = io.CopyBuffer(struct{ io.Writer }{h}, r, make([]byte, 1<<20))
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// verifier passes on what r yields, and ends with ErrCorrupt in place of io.EOF where
// that is not what ref is the name of.
type verifier struct {
	r    io.Reader
	ref  string
	hash hash.Hash
}

func verify(r io.Reader, ref string) *verifier { return &verifier{r, ref, sha256.New()} }

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF {
		if sum := hex.EncodeToString(v.hash.Sum(nil)); sum != v.ref {
			return n, fmt.Errorf("%w: its SHA-256 begins with %s", ErrCorrupt, sum[:12])
		}
	}
	return n, err
}

// verifiedFile is a verifier that closes what it reads.
type verifiedFile struct {
	*verifier
	io.Closer
}
