package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// A pipeline file with an error keeps a server from starting as little as it keeps other
// schedules from running: only what comes after it waits until it is mended.
func TestSchedulesAfterABrokenPipeline(t *testing.T) {
	dir := pipelineFiles(t, map[string]string{"a.yaml": "nonsense: 1\n"})
	s := serve(t, func(f *File) {
		f.Pipelines.Dir = dir
		for name, after := range map[string][]string{"next": {"a"}, "last": {"next"}, "other": nil} {
			c := Schedule{Name: name, Expr: "1"}
			configs.SetDefaults(&c)
			c.After = after
			if after == nil {
				c.Cron = "@yearly"
			}
			f.Schedules = append(f.Schedules, c)
		}
	})
	names := func() string {
		var names []string
		for _, k := range get[api.Schedules](t, s, "/v1/schedules").Schedules {
			names = append(names, k.Name)
		}
		return strings.Join(names, " ")
	}
	if got := names(); got != "other" {
		t.Errorf("schedules %s", got)
	}
	mended := "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out}}\n"
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(mended), 0o666); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return names() == "a last next other" })
}

// A pipeline whose file has an error at the start is not gone.
func TestAScheduleStaysWhileItsFileIsBroken(t *testing.T) {
	const good = "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out, if_exists: append}}\nschedule: {cron: '@yearly'}\n"
	dir, data := pipelineFiles(t, map[string]string{"a.yaml": good}), t.TempDir()
	f := config(data)
	f.Pipelines.Dir = dir
	schedules := func(s *site) []api.Schedule { return get[api.Schedules](t, s, "/v1/schedules").Schedules }
	for i, text := range []string{good, "nonsense: 1\n", good} {
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		s := begin(t, f, Options{})
		if i == 0 {
			if _, err := s.c.PauseSchedule(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		if text != good { // and what is asked of it is refused, with the reason
			if status, _, body := s.ask(t, "POST", "/v1/schedules/a/run", "{}"); status != 409 || !strings.Contains(body, "has an error") {
				t.Errorf("%d %s", status, body)
			}
		}
		if all := schedules(s); len(all) != 1 || all[0].Gone || !all[0].Paused {
			t.Errorf("%q: %+v", text, all)
		}
		s.close()
	}
}

// What a schedule comes after may be as new as itself; one that cannot be leaves the
// schedules as they were, and pipelines are taken all the same.
func TestReloadOfSchedulesAndPipelines(t *testing.T) {
	const plain = "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out}}\n"
	dir := pipelineFiles(t, map[string]string{"a.yaml": plain})
	first := config(t.TempDir())
	first.Pipelines.Dir, first.Pipelines.Watch = dir, false
	next := *first
	s := begin(t, first, Options{Reread: func() (*File, configs.Problems) { return &next, nil }})
	t.Cleanup(s.close)
	f := func(file, after, failed, want string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(plain), 0o666); err != nil {
			t.Fatal(err)
		}
		c := Schedule{Name: "next", Expr: "1"}
		configs.SetDefaults(&c)
		c.After = []string{after}
		next.Schedules = []Schedule{c}
		out, err := s.Reload(t.Context())
		if err != nil || (len(out.Failed) > 0) != (failed != "") || failed != "" && (len(out.Failed) != 1 || !strings.Contains(out.Failed[0], failed)) {
			t.Errorf("%+v, %v", out, err)
		}
		var names []string
		for _, k := range get[api.Schedules](t, s, "/v1/schedules").Schedules {
			names = append(names, k.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("schedules %s, want %s", got, want)
		}
	}
	f("b.yaml", "b", "", "a b next")
	f("c.yaml", "nowhere", "there is no such schedule", "a b c next")
	f("d.yaml", "d", "", "a b c d next")
}
