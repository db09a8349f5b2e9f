package frame

import (
	"math"
)

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
