package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"
)

// A secret is rpt_, 256 random bits and a checksum, in letters and digits: it is
// one word to a double click, scanners of repositories know it by
// rpt_[0-9A-Za-z]{49}, and a slip of the pen is not looked up. The form is that
// of GitHub's tokens (GitHub Blog, "Behind GitHub's new authentication token
// formats", 2021).
const (
	prefix      = "rpt_"
	randomChars = 43 // 62^43 > 2^256
	sumChars    = 6  // 62^6 > 2^32
)

func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	body := prefix + base62(b[:], randomChars)
	return body + checksum(body)
}

// wellFormed reports whether text is a secret that was made and copied whole.
func wellFormed(text string) bool {
	if len(text) != len(prefix)+randomChars+sumChars || !strings.HasPrefix(text, prefix) {
		return false
	}
	return checksum(text[:len(text)-sumChars]) == text[len(text)-sumChars:]
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	return base62([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, sumChars)
}

// base62 writes b as a number of a fixed count of digits.
func base62(b []byte, width int) string {
	text := new(big.Int).SetBytes(b).Text(62)
	return strings.Repeat("0", width-len(text)) + text
}

// hashOf is what is kept of a secret. The secret is 256 random bits, which
// nobody finds by trying: a slow hash, as for passwords, would add nothing.
func hashOf(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// newID is a name for a token: 40 random bits, without letters that look alike.
func newID() string {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789"
	var b [8]byte
	rand.Read(b[:])
	for i, c := range b {
		b[i] = letters[c%32]
	}
	return string(b[:])
}
