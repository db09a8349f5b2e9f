package configs

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"time"
)

// Duration is a time span, never negative. It is written as in Go, 500ms, 5s or
// 1h30m, with d for days of 24 hours besides: 7d, 1d12h. A bare number is
// refused, except 0, since it would leave open which unit is meant.
type Duration time.Duration

var durationUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": day,
}

const day = 24 * time.Hour

// durationPattern is what ParseDuration accepts, for editors.
const durationPattern = `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|h|d))+)$`

var errDuration = errors.New("is not a duration")

func (Duration) hint() string { return "such as 500ms, 5s, 1h30m or 7d" }

// ParseDuration reads a duration, exactly to the nanosecond.
func ParseDuration(text string) (Duration, error) {
	if text == "0" {
		return 0, nil
	}
	if digits(text) {
		return 0, errors.New("has no unit")
	}
	if text == "" || len(text) > 100 {
		return 0, errDuration
	}
	sum := new(big.Rat)
	for text != "" {
		number := len(text) - len(strings.TrimLeft(text, "0123456789."))
		unit := number + strings.IndexAny(text[number:]+"0", "0123456789.")
		scale, known := durationUnits[text[number:unit]]
		value, ok := decimal(text[:number])
		if !known || !ok {
			return 0, errDuration
		}
		sum.Add(sum, value.Mul(value, new(big.Rat).SetInt64(int64(scale))))
		text = text[unit:]
	}
	if !sum.IsInt() {
		return 0, errors.New("is finer than a nanosecond")
	}
	if sum.Cmp(new(big.Rat).SetInt64(math.MaxInt64)) > 0 {
		return 0, errors.New("is too long for a duration (292 years)")
	}
	return Duration(sum.Num().Int64()), nil
}

// String writes the duration so that ParseDuration reads it back, without units
// that are zero: 1h30m, 7d, 500ms.
func (d Duration) String() string {
	rest := time.Duration(d)
	if rest <= 0 {
		return "0"
	}
	var b strings.Builder
	if days := rest / day; days > 0 {
		b.WriteString(big.NewInt(int64(days)).String() + "d")
		rest %= day
	}
	if rest == 0 {
		return b.String()
	}
	// Go writes every unit below the largest: 1h0m0s.
	text := rest.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return b.String() + strings.Replace(text, "h0m", "h", 1)
}

// MarshalText writes what String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}
