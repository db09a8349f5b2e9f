package rdata

import "math"

// NAInteger is the missing value of logical and integer vectors.
const NAInteger int32 = math.MinInt32

// NAInteger64 is the missing value of bit64's integer64, which are the bits of
// an int64 in a double vector.
const NAInteger64 int64 = math.MinInt64

// naWord is the low word of a missing double: the year R was begun in, it is said.
const naWord = 1954

// NAReal is the missing value of double vectors: a NaN whose low 32 bits are
// 1954. Test for it with IsNA, as == is false for every NaN.
var NAReal = math.Float64frombits(0x7FF00000_000007A2)

// IsNA tells NA from NaN and from numbers. Only the low word counts, as in R:
// arithmetic changes the high one.
func IsNA(f float64) bool {
	return f != f && uint32(math.Float64bits(f)) == naWord
}
