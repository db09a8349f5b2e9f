package frame

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"
)

// ParseText appends what text says, read as the column's kind, and reports
// whether it could; else nothing is appended. It takes what AppendText writes,
// and:
//
//   - bool: TRUE, true, True, T and FALSE, false, False, F;
//   - numbers without thousands separators, a leading + or leading zeros
//     (007 is not a number); an integer in a double column must be exact;
//   - dates as 2006-01-02 alone;
//   - times with T or a space between date and time, seconds optional, digits
//     beyond microseconds rounded; an instant needs Z or an offset such as
//     +01:00, a wall clock time must have none, and may be a date alone;
//   - text that is valid UTF-8.
//
// List columns cannot be read from text.
func (c *Column) ParseText(text []byte) bool {
	switch c.kind {
	case KindBool:
		v, ok := parseBool(text)
		if ok {
			c.AppendBool(v)
		}
		return ok
	case KindInt32:
		v, ok := ParseInt(text)
		if ok = ok && int64(int32(v)) == v; ok {
			c.AppendInt32(int32(v))
		}
		return ok
	case KindInt64:
		v, ok := ParseInt(text)
		if ok {
			c.AppendInt64(v)
		}
		return ok
	case KindDouble, KindDifftime:
		v, ok := ParseDouble(text)
		if ok {
			c.AppendDouble(v)
		}
		return ok
	case KindDate:
		v, n, ok := parseDate(text)
		if ok = ok && n == len(text); ok {
			c.AppendInt32(v)
		}
		return ok
	case KindTimestamp, KindDatetime:
		v, zone, ok := parseTime(text)
		if ok = ok && zone == (c.kind == KindTimestamp); ok {
			c.AppendInt64(v)
		}
		return ok
	case KindString, KindFactor:
		ok := utf8.Valid(text)
		if ok {
			c.AppendBytes(text)
		}
		return ok
	case KindJSON:
		ok := utf8.Valid(text) && json.Valid(text)
		if ok {
			c.AppendBytes(text)
		}
		return ok
	case KindBinary:
		v := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(v, text)
		if err == nil {
			c.AppendBytes(v[:n])
		}
		return err == nil
	}
	return false
}

func parseBool(b []byte) (v, ok bool) {
	switch string(b) {
	case "TRUE", "true", "True", "T":
		return true, true
	case "FALSE", "false", "False", "F":
		return false, true
	}
	return false, false
}
