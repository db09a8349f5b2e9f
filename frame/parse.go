package frame

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
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
		// An identifier of 20 digits must not lose its last ones.
		var room [330]byte
		if string(strconv.AppendFloat(room[:0], v, 'f', 0, 64)) != string(b) {
			return 0, false
		}
	}
	return v, true
}

func twoDigits(b []byte) int {
	x, y := b[0]-'0', b[1]-'0'
	if x > 9 || y > 9 {
		return -1
	}
	return int(x)*10 + int(y)
}

var monthDays = [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// parseDate reads a date at the start of b: days since 1970 and how long it is.
func parseDate(b []byte) (days int32, n int, ok bool) {
	sign, width := int64(1), 4
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		if b[0] == '-' {
			sign = -1
		}
		b, n = b[1:], 1
		for width = 0; width < len(b) && b[width]-'0' <= 9; width++ {
		}
		if width < 6 || width > 7 {
			return 0, 0, false
		}
	}
	if len(b) < width+6 || b[width] != '-' || b[width+3] != '-' {
		return 0, 0, false
	}
	var y int64
	for _, c := range b[:width] {
		if c -= '0'; c > 9 {
			return 0, 0, false
		} else {
			y = y*10 + int64(c)
		}
	}
	y *= sign
	m, d := twoDigits(b[width+1:]), twoDigits(b[width+4:])
	if m < 1 || m > 12 || d < 1 {
		return 0, 0, false
	}
	last := monthDays[m-1]
	if m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		last = 29
	}
	if d > last {
		return 0, 0, false
	}
	v := daysOf(y, m, d)
	return int32(v), n + width + 6, int64(int32(v)) == v
}

// parseTime reads a time to microseconds since 1970, and whether it has a zone.
func parseTime(b []byte) (us int64, zone, ok bool) {
	days, n, ok := parseDate(b)
	if !ok {
		return 0, false, false
	}
	b = b[n:]
	if len(b) == 0 {
		us, ok = micros(int64(days)*secondsPerDay, 0)
		return us, false, ok
	}
	if len(b) < 6 || b[0] != 'T' && b[0] != ' ' || b[3] != ':' {
		return 0, false, false
	}
	h, m, s := twoDigits(b[1:]), twoDigits(b[4:]), 0
	b = b[6:]
	frac := int64(0)
	if len(b) >= 3 && b[0] == ':' {
		s, b = twoDigits(b[1:]), b[3:]
		if len(b) > 1 && b[0] == '.' && b[1]-'0' <= 9 {
			unit := int64(microsPerSecond)
			for b = b[1:]; len(b) > 0 && b[0]-'0' <= 9; b = b[1:] {
				switch digit := int64(b[0] - '0'); {
				case unit > 1:
					unit /= 10
					frac += digit * unit
				case unit == 1: // the first digit beyond decides
					unit = 0
					if digit >= 5 {
						frac++
					}
				}
			}
		}
	}
	if h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59 {
		return 0, false, false
	}
	sec := int64(days)*secondsPerDay + int64(h*3600+m*60+s)
	offset, zone, ok := parseOffset(b)
	if !ok {
		return 0, false, false
	}
	us, ok = micros(sec-offset, frac)
	return us, zone, ok
}

// parseOffset reads Z, +hh, +hhmm, +hh:mm or nothing, to seconds.
func parseOffset(b []byte) (seconds int64, zone, ok bool) {
	if len(b) == 0 {
		return 0, false, true
	}
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true, true
	}
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return 0, false, false
	}
	h, m := twoDigits(b[1:]), 0
	switch rest := b[3:]; {
	case len(rest) == 3 && rest[0] == ':':
		m = twoDigits(rest[1:])
	case len(rest) == 2:
		m = twoDigits(rest)
	case len(rest) != 0:
		return 0, false, false
	}
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false, false
	}
	seconds = int64(h*3600 + m*60)
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true, true
}

// micros is sec seconds and us microseconds, where 64 bits hold that.
func micros(sec, us int64) (int64, bool) {
	const most = math.MaxInt64/microsPerSecond - 1
	if sec > most || sec < -most {
		return 0, false
	}
	return sec*microsPerSecond + us, true
}
