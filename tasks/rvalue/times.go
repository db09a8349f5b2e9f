package rvalue

import (
	"math"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
)

// A moment writes a number that is a date or a time, as R keeps them.
type moment func(b []byte, x float64) []byte

// momentOf is that of the class of v, or nil.
func momentOf(v rdata.Value) moment {
	switch {
	case rdata.Inherits(v, "Date"):
		return appendDate
	case rdata.Inherits(v, "POSIXct"):
		return appendTime
	}
	return nil
}

// Seconds since 1970 of the years that RFC 3339 can write.
var (
	firstSecond = float64(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	lastSecond  = float64(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()) - 1
)

// moment writes one that is a time and within the calendar; what is not is a number.
func (w *writer) moment(m moment, x float64) {
	if math.IsNaN(x) {
		w.null()
		return
	}
	b := m(append(w.b, '"'), x)
	if b == nil {
		w.double(x)
		return
	}
	w.b = append(b, '"')
}

func appendDate(b []byte, days float64) []byte {
	seconds := math.Floor(days) * 86400
	if !(seconds >= firstSecond && seconds <= lastSecond) {
		return nil
	}
	return time.Unix(int64(seconds), 0).UTC().AppendFormat(b, time.DateOnly)
}

// appendTime writes to the microsecond: a double has no more.
func appendTime(b []byte, seconds float64) []byte {
	if !(seconds >= firstSecond && seconds <= lastSecond) {
		return nil
	}
	whole := math.Floor(seconds)
	micros := int64(math.Round((seconds - whole) * 1e6))
	return time.Unix(int64(whole), micros*1000).UTC().AppendFormat(b, "2006-01-02T15:04:05.999999Z")
}

// brokenDown makes a POSIXct of a POSIXlt, a list of year, month and so on, where it
// says how far from UTC it is or is in UTC. ok is false for anything else.
func brokenDown(l *rdata.List) (rdata.Value, bool) {
	if !rdata.Inherits(l, "POSIXlt") {
		return nil, false
	}
	names, ok := l.Attrs.Get("names").(*rdata.Character)
	if !ok || names.Len() != len(l.Values) {
		return nil, false
	}
	field := map[string]rdata.Value{}
	for i, name := range names.Strings() {
		field[name] = l.Values[i]
	}
	at := func(name string, i int) (float64, bool) {
		v, ok := field[name]
		if !ok || v.Len() == 0 || nodeKindOf(v) == nodeNull {
			return 0, false
		}
		n := element(v, i%v.Len())
		return n.num, (n.kind == nodeInteger || n.kind == nodeDouble) && !math.IsNaN(n.num) && math.Abs(n.num) < 1e9
	}
	utc := false
	if tz, ok := l.Attrs.Get("tzone").(*rdata.Character); ok && tz.Len() > 0 {
		name, _ := tz.At(0)
		utc = name == "UTC" || name == "GMT"
	}
	times := &rdata.Double{Attrs: rdata.Attributes{{Name: "class", Value: rdata.NewCharacter([]string{"POSIXct", "POSIXt"})}}}
	year, ok := field["year"]
	if !ok {
		return nil, false
	}
	for i := range year.Len() {
		var f [6]float64
		known := true
		for k, name := range []string{"year", "mon", "mday", "hour", "min", "sec"} {
			var ok bool
			f[k], ok = at(name, i)
			known = known && ok
		}
		offset, ok := at("gmtoff", i)
		if !ok && !utc && known {
			return nil, false
		}
		if !known {
			times.Values = append(times.Values, rdata.NAReal)
			continue
		}
		t := time.Date(int(f[0])+1900, time.Month(int(f[1])+1), int(f[2]), int(f[3]), int(f[4]), 0, 0, time.UTC)
		times.Values = append(times.Values, float64(t.Unix())+f[5]-offset)
	}
	return times, true
}
