package pipelines

import (
	"slices"
	"strings"
	"testing"
)

// A pipeline that notifies what is not there has an error: its version of before is run
// on, and none where there is no such.
func TestPipelinesNotifyWhatIsThere(t *testing.T) {
	tells := func(name string) string {
		return plain + "schedule: {cron: '@daily', notify: [" + name + "]}\n"
	}
	s := set(t, map[string]string{"a.yaml": daily, "b.yaml": tells("chat"), "c.yaml": tells("chatt")})
	targets := []string{"chat"}
	s.o.Targets = func() []string { return targets }
	f := func(runs []string, states ...string) {
		t.Helper()
		if _, err := s.Load(); err != nil {
			t.Fatal(err)
		}
		if names := entries(s); !slices.Equal(names, runs) {
			t.Errorf("entries %v, want %v", names, runs)
		}
		for i, name := range []string{"a", "b", "c"} {
			if p, _ := s.Get(name); p.State != states[i] {
				t.Errorf("%s is %s, want %s: %v", name, p.State, states[i], p.Problems)
			}
		}
	}
	s.all = nil // as at the start
	f([]string{"a", "b"}, OK, OK, Broken)
	if p, _ := s.Get("c"); !strings.Contains(p.Problems.Error(), "schedule.notify[0]: there is no chatt under notify in rpipe.yaml") ||
		p.Problems[0].Line != 4 || p.Problems[0].Hint != "did you mean chat?" {
		t.Errorf("%+v", p.Problems)
	}
	targets = []string{"chatt"} // as by a reload
	f([]string{"a", "b", "c"}, OK, Stale, OK)
	f([]string{"a", "b", "c"}, OK, Stale, OK)
	put(t, s.o.Dir, map[string]string{"a.yaml": tells("nobody"), "b.yaml": tells("chatt")})
	f([]string{"a", "b", "c"}, Stale, OK, OK)
	if p, _ := s.Get("a"); len(p.Timing.Notify) > 0 {
		t.Errorf("%+v", p.Timing)
	}
}
