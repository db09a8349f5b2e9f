package dashboard

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHub: changes are told at most so often, however many they are, and only to those
// whom they are about.
func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(time.Second)
		h.changed("tasks", "anna") // nobody looks: nothing is kept
		anna := &viewer{owner: "anna", topics: make(chan []string, 1)}
		ben := &viewer{owner: "ben", topics: make(chan []string, 1)}
		all := &viewer{owner: "carla", all: true, topics: make(chan []string, 1)}
		for _, v := range []*viewer{anna, ben, all} {
			h.add(v)
		}
		told := func(v *viewer) string {
			select {
			case topics := <-v.topics:
				return fmt.Sprint(topics)
			default:
				return ""
			}
		}
		for range 10000 {
			h.changed("tasks", "anna")
		}
		time.Sleep(time.Second) // of the bubble
		synctest.Wait()
		if a, b, c := told(anna), told(ben), told(all); a != "[tasks]" || b != "" || c != "[tasks]" {
			t.Errorf("%q %q %q", a, b, c)
		}
		time.Sleep(10 * time.Second)
		if told(anna) != "" {
			t.Error("told again of what was told")
		}
		// Who does not listen is told of all at once, later.
		h.changed("queues", "")
		time.Sleep(2 * time.Second)
		h.changed("tasks", "ben")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if a, b := told(anna), told(ben); a != "[queues]" || b != "[queues tasks]" {
			t.Errorf("%q %q", a, b)
		}
		for i := range mostDirty + 5 {
			h.changed("tasks", fmt.Sprint("owner", i))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if a := told(anna); a != "[tasks]" {
			t.Errorf("of very many owners: %q", a)
		}
		h.changed("tasks", "")
		h.close()
		if _, open := <-anna.topics; open || h.add(ben) {
			t.Error("open after the end")
		}
	})
}

// TestFragments: who looks at the same at the same time has it made once.
func TestFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fragments{keep: time.Second}
		var made atomic.Int64
		f := func() ([]byte, error) {
			time.Sleep(100 * time.Millisecond)
			return fmt.Appendf(nil, "%d", made.Add(1)), nil
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if html, err := c.get("a", f); err != nil || string(html) != "1" {
					t.Errorf("%s %v", html, err)
				}
			})
		}
		all.Wait()
		if html, _ := c.get("b", f); string(html) != "2" {
			t.Errorf("another key: %s", html)
		}
		time.Sleep(2 * time.Second)
		if html, _ := c.get("a", f); string(html) != "3" {
			t.Errorf("later: %s", html)
		}
		bad := fmt.Errorf("no")
		if _, err := c.get("c", func() ([]byte, error) { return nil, bad }); err != bad {
			t.Error(err)
		}
		if html, err := c.get("c", f); err != nil || string(html) != "4" {
			t.Errorf("a failure was kept: %s %v", html, err)
		}
	})
}

func TestCharts(t *testing.T) {
	from := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
	c := bars("t", "Tasks", from, time.Minute, digits, line{"ok", "ok", []float64{1, 0, 3}}, line{"bad", "bad", []float64{0, 0, 1}})
	if c.Top != "4" || c.Middle != "2" || c.Empty || c.Data != "1,0;0,0;3,1" || !slices.Equal(c.Rows[2].Cells, []string{"3", "1"}) {
		t.Errorf("%+v", c)
	}
	for v, want := range map[float64]float64{0: 1, 0.3: 0.4, 1: 1, 3: 4, 7: 8, 11: 20, 99: 100, 401: 500} {
		if got := niceTop(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("above %v: %v, want %v", v, got, want)
		}
	}
}

func TestSegments(t *testing.T) {
	s := segments(map[string]int64{"COMPLETE": 999999, "ERROR": 1})
	if len(s) != 2 || s[1].State != "ERROR" || s[1].W < 5 || s[0].W+s[1].W != 1000 {
		t.Errorf("one of a million cannot be seen: %+v", s)
	}
	for in, want := range map[string]string{"01m81fv8dyvmbrhw09zp0a8e9z.54": "…0a8e9z.54", "short": "short"} {
		if got := short(in); got != want {
			t.Errorf("%s is %s", in, got)
		}
	}
}
