package webapi

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rate bounds how many requests are sent. In any span of t it lets through at
// most Burst + t × Limit of them; in any one second that holds even where the
// machine was too busy to let them go on time.
type Rate struct {
	Limit Frequency `yaml:"limit" required:"true" doc:"Requests in a time: 10/s, 600/m, 5000/h or 100/15m." example:"10/s"`
	Burst int       `yaml:"burst" default:"1" min:"1" doc:"How many may be sent at once after a pause."`
	Label string    `yaml:"label" doc:"Parts of the pipeline whose rate has the same label share it." example:"orders"`
}

// Shorthand lets the limit stand for the mapping.
func (Rate) Shorthand() string { return "limit" }

// Frequency is a number of events in a time.
type Frequency struct {
	N   float64
	Per time.Duration
}

var frequencyUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// PerSecond is the frequency in Hertz.
func (f Frequency) PerSecond() float64 { return f.N / f.Per.Seconds() }

// UnmarshalText reads 10/s, 0.5/s, 600/m, 5000/h or 100/15m.
func (f *Frequency) UnmarshalText(text []byte) error {
	number, per, ok := strings.Cut(string(text), "/")
	if !ok || per == "" {
		return errFrequency
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return errFrequency
	}
	per = strings.TrimSpace(per)
	span := frequencyUnits[per]
	if span == 0 {
		if span, err = time.ParseDuration(per); err != nil || span <= 0 {
			return errFrequency
		}
	}
	*f = Frequency{n, span}
	return nil
}

var errFrequency = errors.New("is not a rate: write a number of requests and a time, such as 10/s, 600/m or 100/15m")

// MarshalText writes what UnmarshalText reads.
func (f Frequency) MarshalText() ([]byte, error) {
	n := strconv.FormatFloat(f.N, 'g', -1, 64)
	for unit, span := range frequencyUnits {
		if span == f.Per {
			return []byte(n + "/" + unit), nil
		}
	}
	return []byte(n + "/" + f.Per.String()), nil
}

// Limiters are the rates of one run that have a label: clients that name the
// same one share it. The zero value is ready; it is safe for concurrent use.
type Limiters struct {
	mu     sync.Mutex
	shared map[string]*sharedPacer
}

type sharedPacer struct {
	rate  Rate
	pacer *pacer
}

// pacer is that of r; nil where r is.
func (l *Limiters) pacer(r *Rate) (*pacer, error) {
	if r == nil {
		return nil, nil
	}
	made := newPacer(r)
	if r.Label == "" || l == nil {
		return made, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.shared[r.Label]; ok {
		if s.rate != *r {
			have, _ := s.rate.Limit.MarshalText()
			want, _ := r.Limit.MarshalText()
			return nil, fmt.Errorf("the rate labelled %s is %s with burst %d here and %s with burst %d elsewhere; give both the same",
				r.Label, want, r.Burst, have, s.rate.Burst)
		}
		return s.pacer, nil
	}
	if l.shared == nil {
		l.shared = map[string]*sharedPacer{}
	}
	l.shared[r.Label] = &sharedPacer{*r, made}
	return made, nil
}
