package sources

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"
)

// pageValues is a view of the values of a page or of a dictionary. One of the
// slices is set, by the column's physical type.
type pageValues struct {
	bits    []byte // booleans, eight a byte
	i32     []int32
	i64     []int64
	i96     []deprecated.Int96
	f32     []float32
	f64     []float64
	bytes   []byte // byte arrays, and those of fixed length
	offsets []uint32
	length  int // of each value, where it is fixed
}

func (s *pageValues) set(v encoding.Values, kind parquet.Kind) error {
	*s = pageValues{}
	switch kind {
	case parquet.Boolean:
		s.bits = v.Boolean()
	case parquet.Int32:
		s.i32 = v.Int32()
	case parquet.Int64:
		s.i64 = v.Int64()
	case parquet.Int96:
		s.i96 = v.Int96()
	case parquet.Float:
		s.f32 = v.Float()
	case parquet.Double:
		s.f64 = v.Double()
	case parquet.ByteArray:
		s.bytes, s.offsets = v.ByteArray()
	case parquet.FixedLenByteArray:
		s.bytes, s.length = v.FixedLenByteArray()
	default:
		return fmt.Errorf("physical type %v is not read", kind)
	}
	return nil
}

// text is value i of a byte array column.
func (s *pageValues) text(i int) []byte {
	if s.length > 0 {
		return s.bytes[i*s.length : (i+1)*s.length]
	}
	return s.bytes[s.offsets[i]:s.offsets[i+1]]
}

// convert appends the next k values of the page, as the column has them.
func (r *columnReader) convert(k int) error {
	o, s, from := &r.out, &r.src, r.value
	if r.index != nil && from+k > len(r.index) {
		return errTooFew
	}
	switch r.how {
	case asIs, asStrings:
		switch r.kind {
		case parquet.Boolean:
			o.bools = gather(o.bools, r, k, func(i int) bool { return s.bits[i>>3]>>(i&7)&1 != 0 })
		case parquet.Int32:
			return copied(&o.ints, s.i32, r, k)
		case parquet.Int64:
			return copied(&o.longs, s.i64, r, k)
		case parquet.Double:
			return copied(&o.doubles, s.f64, r, k)
		default:
			return r.convertText(k)
		}
	case widen:
		o.doubles = gather(o.doubles, r, k, func(i int) float64 { return float64(s.f32[i]) })
	case unsigned:
		o.longs = gather(o.longs, r, k, func(i int) int64 { return int64(uint32(s.i32[i])) })
	case bigCount:
		o.doubles = gather(o.doubles, r, k, func(i int) float64 { return float64(uint64(s.i64[i])) })
	case toMicros:
		o.longs = gather(o.longs, r, k, func(i int) int64 { return micros(s.i64[i], r.unit) })
	case toSeconds:
		o.doubles = gather(o.doubles, r, k, func(i int) float64 { return r.whole(i) / r.scale })
	case toDecimal:
		lost := false
		o.doubles = gather(o.doubles, r, k, func(i int) float64 {
			v := r.whole(i)
			lost = lost || math.Abs(v) > 1<<53
			return v / r.scale
		})
		if lost {
			return errDecimal
		}
	case fromInt96:
		o.longs = gather(o.longs, r, k, func(i int) int64 { return int96Micros(s.i96[i]) })
	case fromHalf:
		o.doubles = gather(o.doubles, r, k, func(i int) float64 { return half(binary.LittleEndian.Uint16(s.text(i))) })
	case fromUUID:
		o.beginText()
		for i := range k {
			o.text(appendUUID(nil, s.text(r.at(i))))
		}
		o.checked = true
	}
	return nil
}

var errDecimal = errors.New("a decimal has more digits than a double can hold: cast the column to text or to fewer digits where the file is written, or leave it out with columns")

var errTooFew = fmt.Errorf("the file is damaged: a page has fewer values than it says")

// at is where value i after those taken is found.
func (r *columnReader) at(i int) int {
	if r.index != nil {
		return int(r.index[r.value+i])
	}
	return r.value + i
}

// gather appends k values through f, which is given where each is found.
func gather[T any](dst []T, r *columnReader, k int, f func(i int) T) []T {
	if dst == nil {
		dst = make([]T, 0, max(r.out.room, k))
	}
	for i := range k {
		dst = append(dst, f(r.at(i)))
	}
	return dst
}

// copied appends k values as they are.
func copied[T any](dst *[]T, src []T, r *columnReader, k int) error {
	v := *dst
	if v == nil {
		v = make([]T, 0, max(r.out.room, k))
	}
	if r.index == nil {
		if r.value+k > len(src) {
			return errTooFew
		}
		*dst = append(v, src[r.value:r.value+k]...)
		return nil
	}
	for _, i := range r.index[r.value : r.value+k] {
		v = append(v, src[i])
	}
	*dst = v
	return nil
}

// convertText appends k byte arrays, or the codes of a factor.
func (r *columnReader) convertText(k int) error {
	o, s := &r.out, &r.src
	switch {
	case r.levels != nil && r.index != nil:
		return copied(&o.ints, r.levels.codeOf, r, k)
	case r.levels != nil:
		o.ints = gather(o.ints, r, k, func(i int) int32 { return r.levels.code(s.text(i)) })
		return nil
	case s.length > 0:
		o.beginText()
		for i := range k {
			o.text(s.text(r.at(i)))
		}
		return nil
	}
	o.beginText()
	if r.index != nil {
		o.checked = r.how == asStrings && (o.checked || o.n == 0)
		for _, i := range r.index[r.value : r.value+k] {
			o.bytes = append(o.bytes, s.bytes[s.offsets[i]:s.offsets[i+1]]...)
			o.offsets = append(o.offsets, int32(len(o.bytes)))
		}
		return nil
	}
	o.checked = false
	if k == 0 {
		return nil
	}
	if r.value+k >= len(s.offsets) {
		return errTooFew
	}
	offsets := s.offsets[r.value : r.value+k+1]
	shift := len(o.bytes) - int(offsets[0])
	o.bytes = append(o.bytes, s.bytes[offsets[0]:offsets[k]]...)
	for _, end := range offsets[1:] {
		o.offsets = append(o.offsets, int32(int(end)+shift))
	}
	return nil
}

func (o *arrayBuffers) beginText() {
	if o.offsets == nil {
		o.offsets = make([]int32, 1, o.room+1)
	}
}

func (o *arrayBuffers) text(v []byte) {
	o.bytes = append(o.bytes, v...)
	o.offsets = append(o.offsets, int32(len(o.bytes)))
}

// whole is a decimal or a time of day before it is divided by its scale.
func (r *columnReader) whole(i int) float64 {
	switch r.kind {
	case parquet.Int32:
		return float64(r.src.i32[i])
	case parquet.Int64:
		return float64(r.src.i64[i])
	}
	b := r.src.text(i)
	if len(b) <= 8 {
		var v int64
		if len(b) > 0 && b[0] >= 0x80 {
			v = -1
		}
		for _, c := range b {
			v = v<<8 | int64(c)
		}
		return float64(v)
	}
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	f, _ := new(big.Float).SetInt(v).Float64()
	return f
}

// micros turns a time counted in units of so many nanoseconds to microseconds,
// downwards where it is finer.
func micros(v, unit int64) int64 {
	if unit >= 1000 {
		return v * (unit / 1000)
	}
	per := 1000 / unit
	q := v / per
	if v%per < 0 {
		q--
	}
	return q
}

// int96Micros reads nanoseconds of the day and a Julian day number.
func int96Micros(v deprecated.Int96) int64 {
	const epoch = 2_440_588 // 1970-01-01
	nanos := int64(uint64(v[1])<<32 | uint64(v[0]))
	return (int64(int32(v[2]))-epoch)*86_400_000_000 + nanos/1000
}

// half widens an IEEE 754 number of 16 bits.
func half(h uint16) float64 {
	sign, exponent, fraction := float64(1), int(h>>10&31), float64(h&1023)
	if h>>15 != 0 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

func appendUUID(dst, b []byte) []byte {
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, []byte{c})
	}
	return dst
}
