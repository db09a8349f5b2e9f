package frame

import (
	"math"
	"strconv"
	"unsafe"
)

// ParseInt reads an integer as it would be written: no +, no leading zeros, no
// negative zero.
func ParseInt(b []byte) (int64, bool) {
	digits := b
	if len(b) > 0 && b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var v uint64 // 19 digits fit
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		} else {
			v = v*10 + uint64(c)
		}
	}
	if len(digits) < len(b) {
		return -int64(v), v <= 1<<63
	}
	return int64(v), v < 1<<63
}

// exactPowers are the powers of ten that a double holds exactly.
var exactPowers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// ParseDouble reads a decimal number, NaN, Inf or -Inf. A number of at most 15
// digits is a quotient of two exact doubles, and so correctly rounded (Clinger,
// "How to Read Floating Point Numbers Accurately", 1990); others go to strconv.
func ParseDouble(b []byte) (float64, bool) {
	i := 0
	if len(b) > 0 && b[0] == '-' {
		i = 1
	}
	start := i
	var m uint64
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		m = m*10 + uint64(b[i]-'0')
	}
	whole := i - start
	if whole > 1 && b[start] == '0' {
		return 0, false // 007
	}
	frac := 0
	if i < len(b) && b[i] == '.' {
		for i++; i < len(b) && b[i]-'0' <= 9; i++ {
			m = m*10 + uint64(b[i]-'0')
			frac++
		}
	}
	if whole+frac == 0 {
		switch string(b) {
		case "NaN":
			return math.NaN(), true
		case "Inf":
			return math.Inf(1), true
		case "-Inf":
			return math.Inf(-1), true
		}
		return 0, false
	}
	if i == len(b) && whole+frac <= 15 {
		v := float64(m) / exactPowers[frac]
		if start == 1 {
			v = -v
		}
		return v, true
	}
	integer := i == len(b) && frac == 0 && b[i-1] != '.'
	if i < len(b) {
		if b[i] != 'e' && b[i] != 'E' {
			return 0, false
		}
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exp := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
		}
		if i == exp || i < len(b) {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), 64)
	if err != nil {
		return 0, false // beyond the range of a double
	}
	if integer {
		// An identifier of 20 digits must not lose its last ones: the double has to
		// print as the text again, in all its digits or in the fewest that tell it.
		var room [330]byte
		if string(strconv.AppendFloat(room[:0], v, 'f', 0, 64)) != string(b) &&
			string(strconv.AppendFloat(room[:0], v, 'f', -1, 64)) != string(b) {
			return 0, false
		}
	}
	return v, true
}
