package rdata

import (
	"bytes"
	"math"
	"strconv"
)

func appendInteger(b []byte, x int32) []byte {
	return strconv.AppendInt(b, int64(x), 10)
}

// AppendNumber formats x as as.character() does, but for NA, which has no text.
func AppendNumber(b []byte, x float64) []byte { return appendDouble(b, x, 0) }

// appendDouble formats x as as.character() does in R before 4.3: the fewest of
// 15 significant digits that tell it from others of 15 digits, in fixed notation
// unless that is wider, by more than scipen characters, than scientific.
func appendDouble(b []byte, x float64, scipen int) []byte {
	switch {
	case math.IsNaN(x):
		return append(b, "NaN"...)
	case math.IsInf(x, 1):
		return append(b, "Inf"...)
	case math.IsInf(x, -1):
		return append(b, "-Inf"...)
	case x == 0:
		return append(b, '0')
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], math.Abs(x), 'e', 14, 64) // d.dddde±dd
	mark := bytes.IndexByte(e, 'e')
	exp, _ := strconv.Atoi(string(e[mark+1:]))        // strconv made it
	digits := len(bytes.TrimRight(e[:mark], "0")) - 1 // less the point
	decimals := max(0, digits-1-exp)
	fixed := max(exp, 0) + 1
	if decimals > 0 {
		fixed += 1 + decimals
	}
	scientific := digits + 4
	if digits > 1 {
		scientific++
	}
	if exp >= 100 || exp <= -100 {
		scientific++
	}
	if fixed <= scientific+scipen {
		return strconv.AppendFloat(b, x, 'f', decimals, 64)
	}
	return strconv.AppendFloat(b, x, 'e', digits-1, 64)
}
