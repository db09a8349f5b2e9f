package configs

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Size is a number of bytes, never negative. It is written as a number with an
// optional unit: B, kB, MB, GB and TB count by 1000, KiB, MiB, GiB and TiB by
// 1024. 1.5GB is fine; what does not come to whole bytes is not. Units are
// spelled exactly like that, since 64k or 64m would leave open which is meant.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"TB", 1e12},
	{"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"kB", 1e3},
	{"B", 1},
}

// sizePattern is what ParseSize accepts, for editors.
const sizePattern = `^[0-9]+(\.[0-9]+)? ?(B|kB|KiB|MB|MiB|GB|GiB|TB|TiB)?$`

var errSize = errors.New("is not a size")

func (Size) hint() string { return "such as 4096, 64KiB, 16MiB or 1.5GB" }

// ParseSize reads a size, exactly.
func ParseSize(text string) (Size, error) {
	number, unit := text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = strings.TrimSuffix(rest, " "), u.bytes
			break
		}
	}
	value, ok := decimal(number)
	if !ok {
		return 0, errSize
	}
	value.Mul(value, new(big.Rat).SetInt64(unit))
	if !value.IsInt() {
		return 0, errors.New("is not a whole number of bytes")
	}
	if value.Cmp(new(big.Rat).SetInt64(math.MaxInt64)) > 0 {
		return 0, errors.New("is too large for a size")
	}
	return Size(value.Num().Int64()), nil
}

// decimal reads digits with an optional fraction, no sign and no exponent.
func decimal(text string) (*big.Rat, bool) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if !digits(whole) || dotted && !digits(fraction) || len(text) > 40 {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// String writes the size so that ParseSize reads it back: in the largest unit
// that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if u.bytes > 1 && s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes what String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize does.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}
