package frame

import (
	"encoding/base64"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// AppendJSON appends value i of col as a JSON value. A missing value is null,
// and so are NaN and the infinities, for which JSON has no numbers. Dates and
// times are strings as AppendText writes them, binary is base64, lists are
// arrays; f says whether text is JSON itself, which is copied as it stands.
// Integers keep all their digits, also beyond 2^53.
func AppendJSON(dst []byte, f arrow.Field, col arrow.Array, i int) []byte {
	if col.IsNull(i) {
		return append(dst, "null"...)
	}
	switch a := col.(type) {
	case *array.String:
		if meta(f, MetaJSON) == "1" {
			return append(dst, a.Value(i)...)
		}
		return AppendQuoted(dst, a.Value(i))
	case *array.Dictionary:
		return AppendQuoted(dst, a.Dictionary().(*array.String).Value(int(factorCodes(a)[i])))
	case *array.Float64:
		if v := a.Value(i); math.IsNaN(v) || math.IsInf(v, 0) {
			return append(dst, "null"...)
		}
	case *array.Date32, *array.Timestamp:
		dst = append(dst, '"')
		return append(AppendText(dst, col, i, TextOptions{}), '"')
	case *array.Binary:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, a.Value(i))
		return append(dst, '"')
	case *array.List:
		return appendJSONList(dst, a, i)
	case *array.Boolean, *array.Int32, *array.Int64:
	default:
		return AppendQuoted(dst, col.ValueStr(i))
	}
	return AppendText(dst, col, i, TextOptions{})
}

func appendJSONList(dst []byte, a *array.List, i int) []byte {
	elem := a.DataType().(*arrow.ListType).ElemField()
	lo, hi := a.ValueOffsets(i)
	dst = append(dst, '[')
	for k := lo; k < hi; k++ {
		if k > lo {
			dst = append(dst, ',')
		}
		dst = AppendJSON(dst, elem, a.ListValues(), int(k))
	}
	return append(dst, ']')
}

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as a JSON string. Only what JSON demands is escaped,
// and U+2028 and U+2029, which break JavaScript; bytes that are not UTF-8
// become U+FFFD.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			bad := r == utf8.RuneError && size == 1
			if !bad && r != '\u2028' && r != '\u2029' {
				i += size
				continue
			}
			dst = append(dst, s[start:i]...)
			if bad {
				dst = append(dst, "\ufffd"...)
			} else {
				dst = append(dst, `\u202`...)
				dst = append(dst, hexDigits[r&0xf])
			}
			i += size
			start = i
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
