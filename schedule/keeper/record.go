package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// timer is the record of a schedule: what is to outlive the server that leads.
type timer struct {
	Name  string        `json:"name"`
	Kind  string        `json:"kind"`
	From  string        `json:"from,omitempty"`
	Owner string        `json:"owner"`
	Keep  schedule.Keep `json:"keep"`

	Definition   string    `json:"definition"` // what its times follow from
	Cursor       time.Time `json:"cursor"`     // it has been decided what becomes of all times until this one
	ConfigPaused bool      `json:"config_paused,omitempty"`
	Paused       bool      `json:"paused,omitempty"`
	PausedBy     string    `json:"paused_by,omitempty"`
	Gone         bool      `json:"gone,omitempty"`
	Failing      bool      `json:"failing,omitempty"`
	Ranges       []Range   `json:"ranges,omitempty"`
}

func (t *timer) clone() *timer {
	c := *t
	c.Ranges = slices.Clone(t.Ranges)
	return &c
}

// from is the time after which the next is due: now, or until when it is decided, where
// the clock was set back. t may be nil.
func (t *timer) from(now time.Time) time.Time {
	if t != nil && t.Cursor.After(now) {
		return t.Cursor
	}
	return now
}

// definition is what the times of a schedule follow from: where it changes, times before
// the change are none that were missed.
func definition(t *schedule.Timing) string {
	return strings.Join([]string{t.Cron, t.TimeZone, string(t.Start)}, "|")
}

const (
	timerPrefix = "rp.r."
	runPrefix   = "rp.h."
)

func timerSubject(name string) string      { return timerPrefix + name }
func runSubject(r *schedule.Run) string    { return runPrefix + r.Schedule + "." + r.ID }
func newID() string                        { return strings.ToLower(ulid.Make().String()) }
func isRun(subject string) bool            { return strings.HasPrefix(subject, runPrefix) }
func nameOf(subject string) (string, bool) { return strings.CutPrefix(subject, timerPrefix) }
func runIDOf(subject string) string        { return subject[strings.LastIndexByte(subject, '.')+1:] }

// idFor is the same id, a ULID of time at, for the same words: what is decided twice, as
// the server died that decided first, is one run.
func idFor(at time.Time, words ...string) string {
	h := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	var id ulid.ULID
	id.SetTime(uint64(max(0, at.UnixMilli()))) //nolint:errcheck // it fails after the year 10889
	id.SetEntropy(h[:10])                      //nolint:errcheck // it is 10 bytes
	return strings.ToLower(id.String())
}

// clockID is the id of the run of a scheduled time, which there is once.
func clockID(name string, at time.Time) string {
	return idFor(at, "clock", name, at.UTC().Format(time.RFC3339))
}

// kept is a run as the mirror has it: without its report.
type kept struct {
	schedule.Run
	seq uint64
}

// mirror are the records, as this server knows them. Keeper.mu guards it.
type mirror struct {
	timers map[string]*timer
	seqs   map[string]uint64 // of timers
	runs   map[string]*kept
	of     map[string]map[string]*kept // runs by schedule
}

func newMirror() mirror {
	return mirror{timers: map[string]*timer{}, seqs: map[string]uint64{}, runs: map[string]*kept{}, of: map[string]map[string]*kept{}}
}

// apply takes a record as it is now, unless a later one is known.
func (m *mirror) apply(r broker.Record) error {
	if isRun(r.Subject) {
		return m.applyRun(r)
	}
	name, ok := nameOf(r.Subject)
	if !ok || r.Seq <= m.seqs[name] {
		return nil
	}
	m.seqs[name] = r.Seq
	if r.Data == nil {
		delete(m.timers, name)
		return nil
	}
	t := new(timer)
	if err := json.Unmarshal(r.Data, t); err != nil {
		return fmt.Errorf("record %s: %w", r.Subject, err)
	}
	m.timers[name] = t
	return nil
}

func (m *mirror) applyRun(r broker.Record) error {
	id := runIDOf(r.Subject)
	old := m.runs[id]
	if old != nil && r.Seq <= old.seq {
		return nil
	}
	if r.Data == nil {
		if old != nil {
			delete(m.runs, id)
			delete(m.of[old.Schedule], id)
		}
		return nil
	}
	k := &kept{seq: r.Seq}
	if err := json.Unmarshal(r.Data, &k.Run); err != nil {
		return fmt.Errorf("record %s: %w", r.Subject, err)
	}
	k.Report = nil
	m.runs[id] = k
	if m.of[k.Schedule] == nil {
		m.of[k.Schedule] = map[string]*kept{}
	}
	m.of[k.Schedule][id] = k
	return nil
}

// follow keeps the mirror up to date until ctx ends. It closes level when it has all
// that there was.
func (k *Keeper) follow(ctx context.Context, level func()) error {
	return k.broker.Follow(ctx, []string{timerPrefix + ">", runPrefix + ">"}, func(rs []broker.Record) error {
		if len(rs) == 0 {
			level()
			return nil
		}
		for _, r := range rs {
			k.apply(r)
		}
		return nil
	})
}

// apply takes a record into the mirror, and lets those know who wait for changes.
func (k *Keeper) apply(r broker.Record) {
	k.mu.Lock()
	err := k.mirror.apply(r)
	var stop *attempt
	if run := k.mirror.runs[runIDOf(r.Subject)]; run != nil && (run.Stop != "" || run.Server != k.o.Server) {
		if stop = k.running[run.ID]; stop != nil && run.Server == k.o.Server {
			stop.cancel(ErrCanceled)
		} else if stop != nil && run.seq > stop.seq {
			stop.cancel(ErrHandover) // another server has it
		}
	}
	k.mu.Unlock()
	if err != nil {
		k.log.Error("schedules: a record cannot be read", "err", err)
	}
	k.nudge()
	k.told()
}

// rounds is how often a change is tried that others make at the same time.
const rounds = 20

// errUnchanged says that there is nothing to write.
var errUnchanged = errors.New("unchanged")

// change reads a record, lets f change it, and writes it, again where somebody else has
// changed it in the meantime. f gets nil where there is none; it is not written where f
// returns an error, nor with errUnchanged, which is none.
func (k *Keeper) change(ctx context.Context, subject string, f func(data []byte) (any, error)) error {
	for range rounds {
		r, err := k.broker.Get(ctx, subject)
		if err != nil && !errors.Is(err, broker.ErrNotFound) {
			return err
		}
		next, err := f(r.Data)
		if errors.Is(err, errUnchanged) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := json.Marshal(next)
		if err != nil {
			return err
		}
		seq, err := k.broker.Write(ctx, broker.Write{Subject: subject, Data: data, Expect: r.Seq})
		if errors.Is(err, broker.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		k.apply(broker.Record{Subject: subject, Data: data, Seq: seq})
		return nil
	}
	return fmt.Errorf("%s: %w, %d times", subject, broker.ErrConflict, rounds)
}

// changeTimer changes the record of a schedule.
func (k *Keeper) changeTimer(ctx context.Context, name string, f func(t *timer) error) error {
	return k.change(ctx, timerSubject(name), func(data []byte) (any, error) {
		t := &timer{Name: name}
		if data != nil {
			if err := json.Unmarshal(data, t); err != nil {
				return nil, fmt.Errorf("schedule %s: %w", name, err)
			}
		}
		return t, f(t)
	})
}

// changeRun changes the record of a run that is there.
func (k *Keeper) changeRun(ctx context.Context, r *schedule.Run, f func(r *schedule.Run) error) error {
	return k.change(ctx, runSubject(r), func(data []byte) (any, error) {
		if data == nil {
			return nil, fmt.Errorf("run %s: %w", r.ID, ErrMissing)
		}
		now := new(schedule.Run)
		if err := json.Unmarshal(data, now); err != nil {
			return nil, fmt.Errorf("run %s: %w", r.ID, err)
		}
		return now, f(now)
	})
}

// create writes the records of new runs. Those that are there already stay as they are.
func (k *Keeper) create(ctx context.Context, runs ...*schedule.Run) error {
	ws := make([]broker.Write, len(runs))
	for i, r := range runs {
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		ws[i] = broker.Write{Subject: runSubject(r), Data: data}
	}
	seqs, errs := k.broker.WriteAll(ctx, ws)
	for i, err := range errs {
		switch {
		case errors.Is(err, broker.ErrConflict): // decided before
			r, err := k.broker.Get(ctx, ws[i].Subject)
			if err == nil {
				k.apply(r)
			} else if !errors.Is(err, broker.ErrNotFound) {
				return err
			}
		case err != nil:
			return err
		default:
			k.apply(broker.Record{Subject: ws[i].Subject, Data: ws[i].Data, Seq: seqs[i]})
		}
	}
	return nil
}
