package sources

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
)

// Since says how a later run reads only what is new.
//
// The server is asked for records from the cursor on: the largest value that
// was committed, less lag. Records before it that come all the same are left
// out. Those at it come again, unless unique_key tells which were there, or
// start: exclusive says that nothing new has the same value.
type Since struct {
	Cursor    string           `yaml:"cursor" required:"true" doc:"Path of the value that grows in each record, such as updated_at. Times (RFC 3339 and its like), numbers and other texts are compared as what they are. A record without it is a bad one." example:"updated_at"`
	Param     string           `yaml:"param" doc:"The parameter of the query that takes the cursor. {cursor} in url, params, headers and body is the other way." example:"since"`
	Initial   string           `yaml:"initial" doc:"The cursor of the first run. Without it the first run asks for everything." example:"2026-01-01"`
	Lag       configs.Duration `yaml:"lag" default:"0s" doc:"Asks from that long before the cursor, for records that the server lets be seen late. They come again, unless unique_key is set. It needs a cursor that is a time, and does not go back behind initial."`
	Start     string           `yaml:"start" default:"inclusive" enum:"inclusive|exclusive" doc:"Whether records with just the value that was asked for are wanted. inclusive misses none; exclusive is for values that no two records share, such as ids."`
	Ordered   bool             `yaml:"ordered" default:"false" doc:"Says that the records of all pages come in the order of the cursor, the oldest first. The cursor is then saved up to where a run has come. Without it that waits for the last page: a run that ends before asks for all of them again."`
	UniqueKey []string         `yaml:"unique_key" scalar:"true" doc:"Paths of the values that tell one record from another. Records from lag before the cursor on are then remembered with their cursor, up to 10,000, and left out where they come again unchanged." example:"[id]"`
}

var _ configs.Checker = (*Since)(nil)

// Check reports paths that are none.
func (s *Since) Check(report func(field, message, hint string)) {
	if _, err := ndjson.ParsePath(s.Cursor); err != nil {
		report("cursor", err.Error(), "")
	}
	for _, key := range s.UniqueKey {
		if _, err := ndjson.ParsePath(key); err != nil {
			report("unique_key", err.Error(), "")
		}
	}
	if _, _, ok := timeOf(s.Initial); !ok && s.Lag > 0 && s.Initial != "" {
		report("lag", fmt.Sprintf("initial, %q, is no time, and only times have a lag", s.Initial), "")
	}
	if s.Lag < 0 {
		report("lag", "is negative", "")
	}
}

// cursors are the values that were read. A nil *cursors lets everything pass.
type cursors struct {
	config Since
	path   ndjson.Path
	keys   []ndjson.Path

	from    string            // what was asked for; "" is everything
	largest string            // "" is none
	seen    map[string]string // the cursors of the records at the end, by a hash of their keys
	full    bool              // more than can be remembered
	saved   string            // largest and seen as text; "" where it is to be made
}

const maxSeen = 10_000

// newCursors starts where an earlier run has ended, saved.
func newCursors(c *Since, saved string) (*cursors, error) {
	if c == nil {
		return nil, nil
	}
	s := &cursors{config: *c, seen: map[string]string{}}
	var err error
	if s.path, err = ndjson.ParsePath(c.Cursor); err != nil {
		return nil, fmt.Errorf("incremental.cursor: %w", err)
	}
	for _, key := range c.UniqueKey {
		p, err := ndjson.ParsePath(key)
		if err != nil {
			return nil, fmt.Errorf("incremental.unique_key: %w", err)
		}
		s.keys = append(s.keys, p)
	}
	if err := s.load(saved); err != nil {
		return nil, err
	}
	return s, nil
}

// state is how cursors are saved where unique_key is set; else it is the largest
// alone.
type state struct {
	Cursor string              `json:"cursor"`
	Seen   map[string][]string `json:"seen"` // hashes by cursor
}

func (s *cursors) load(saved string) error {
	s.largest, s.saved = saved, ""
	if strings.HasPrefix(saved, `{"cursor":`) {
		var st state
		if err := json.Unmarshal([]byte(saved), &st); err != nil {
			return fmt.Errorf("incremental: the saved cursor %q is damaged: %w; rpipe state set or clear mends it", saved, err)
		}
		s.largest = st.Cursor
		for at, ids := range st.Seen {
			for _, id := range ids {
				s.seen[id] = at
			}
		}
	}
	return s.turn()
}

// turn begins to read from the largest cursor.
func (s *cursors) turn() (err error) {
	s.from, err = s.lagged(s.largest)
	return err
}

// lagged is a cursor less the lag, but not before initial.
func (s *cursors) lagged(largest string) (string, error) {
	if largest == "" {
		return s.config.Initial, nil
	}
	if s.config.Lag == 0 {
		return largest, nil
	}
	t, layout, ok := timeOf(largest)
	if !ok {
		return "", fmt.Errorf("incremental: the cursor %q is no time, and only times have a lag", largest)
	}
	from := t.Add(-time.Duration(s.config.Lag)).Format(layout)
	if s.config.Initial != "" && compareCursors(from, s.config.Initial) < 0 {
		from = s.config.Initial
	}
	return from, nil
}

// take reports whether a record is new, and remembers it.
func (s *cursors) take(record []byte) (isNew bool, err error) {
	if s == nil {
		return true, nil
	}
	at := text(s.path, record)
	if at == "" {
		return false, fmt.Errorf("it has no %q, which incremental needs", s.config.Cursor)
	}
	if s.from != "" {
		if c := compareCursors(at, s.from); c < 0 || c == 0 && s.config.Start == "exclusive" {
			return false, nil
		}
	}
	if len(s.keys) > 0 && !s.remember(at, record) {
		return false, nil
	}
	if s.largest == "" || compareCursors(at, s.largest) > 0 {
		s.largest, s.saved = at, ""
	}
	return true, nil
}

// remember reports whether a record was not there before.
func (s *cursors) remember(at string, record []byte) bool {
	h := sha256.New()
	for _, key := range s.keys {
		value, _ := key.Find(record)
		fmt.Fprintf(h, "%d %s ", len(value), value)
	}
	id := base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
	if s.seen[id] == at {
		return false
	}
	s.saved = ""
	s.seen[id] = at
	if len(s.seen) > maxSeen {
		s.forget()
	}
	return true
}

// forget drops what cannot come again, since nobody asks for it; and, where
// there is still too much, the older half.
func (s *cursors) forget() {
	from, err := s.lagged(s.largest)
	maps.DeleteFunc(s.seen, func(_, at string) bool { return err == nil && compareCursors(at, from) < 0 })
	if len(s.seen) <= maxSeen {
		return
	}
	s.full = true
	ids := slices.SortedFunc(maps.Keys(s.seen), func(a, b string) int {
		return cmp.Or(compareCursors(s.seen[a], s.seen[b]), strings.Compare(a, b))
	})
	for _, id := range ids[:len(ids)-maxSeen/2] {
		delete(s.seen, id)
	}
}

// String is what load reads.
func (s *cursors) String() string {
	switch {
	case s == nil:
		return ""
	case s.saved != "" || s.largest == "":
		return s.saved
	case len(s.keys) == 0:
		s.saved = s.largest
	default:
		s.forget()
		st := state{s.largest, map[string][]string{}}
		for _, id := range slices.Sorted(maps.Keys(s.seen)) {
			st.Seen[s.seen[id]] = append(st.Seen[s.seen[id]], id)
		}
		b, err := json.Marshal(st)
		if err != nil { // texts always encode
			panic(err)
		}
		s.saved = string(b)
	}
	return s.saved
}

// compareCursors compares times as times, numbers as numbers, and else texts.
func compareCursors(a, b string) int {
	if a == b {
		return 0
	}
	if x, ok := frame.ParseInt([]byte(a)); ok {
		if y, ok := frame.ParseInt([]byte(b)); ok {
			return cmp.Compare(x, y)
		}
	}
	if x, ok := frame.ParseDouble([]byte(a)); ok {
		if y, ok := frame.ParseDouble([]byte(b)); ok {
			return cmp.Compare(x, y)
		}
	}
	if x, _, ok := timeOf(a); ok {
		if y, _, ok := timeOf(b); ok {
			return x.Compare(y)
		}
	}
	return strings.Compare(a, b)
}

// layouts are how APIs write times; a fraction of a second is read with each.
var layouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02",
}

// timeOf reads a time, and says how it is written.
func timeOf(s string) (t time.Time, layout string, ok bool) {
	if len(s) < len("2006-01-02") || s[4] != '-' {
		return t, "", false
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, layout, true
		}
	}
	return t, "", false
}
