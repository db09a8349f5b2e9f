package server

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// TestReloadSaysOfEachKeyWhatItDoes: docs/operations.md has a row for each key, which says
// what code does.
func TestReloadSaysOfEachKeyWhatItDoes(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "### What a reload changes")
	table, _, _ = strings.Cut(table, "\n##")
	var live []string
	for _, r := range new(Server).renewals() {
		live = append(live, r.key)
	}
	for _, key := range keysOf(Defaults()) {
		i := strings.Index(table, "`"+key+"`")
		if i < 0 {
			t.Errorf("the table of what a reload changes has nothing of %s", key)
			continue
		}
		row := table[strings.LastIndex(table[:i], "\n")+1:]
		row, _, _ = strings.Cut(row, "\n")
		if restart := strings.Contains(row, "a restart"); restart == slices.Contains(live, key) {
			t.Errorf("of %s the table says: %s", key, row)
		}
	}
}

// TestReloadTakesEffectAtOnce: targets, the level of the log, limits of what R sends and
// what pipelines notify.
func TestReloadTakesEffectAtOnce(t *testing.T) {
	address, got := hook(t)
	dir := pipelineFiles(t, map[string]string{
		"daily.yaml": "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out, if_exists: append}}\nschedule: {cron: '@daily', notify: ops}\n",
	})
	first := config(t.TempDir())
	first.Pipelines.Dir, first.Limits.Body, first.Limits.Value = dir, 1<<10, 1<<10
	next := *first
	withTarget(&next, "ops", address, nil)
	next.Limits.Body, next.Limits.Value, next.Log.Level = 1<<20, 1<<20, "debug"
	level := new(slog.LevelVar)
	s := begin(t, first, Options{Level: level, Reread: func() (*File, configs.Problems) { return &next, nil }})
	t.Cleanup(s.close)

	text := strings.Repeat("x", 4<<10)
	large, err := rdata.Append(nil, &rdata.List{
		Values: []rdata.Value{rdata.NewCharacter([]string{"nchar"}), rdata.NewCharacter([]string{"a", text})},
		Attrs:  rdata.Attributes{{Name: "names", Value: rdata.NewCharacter([]string{"fun", "over"})}},
	}, rdata.Format{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(submitted, tried int, state string) {
		t.Helper()
		if status, _, body := s.ask(t, "POST", "/v1/jobs", string(large), "Content-Type", "application/x-r-serialize"); status != submitted {
			t.Errorf("submit: %d %s, want %d", status, body, submitted)
		}
		if status, _, body := s.ask(t, "POST", "/v1/notify/ops/test", ""); status != tried {
			t.Errorf("notify: %d %s, want %d", status, body, tried)
		}
		if p := get[api.Pipelines](t, s, "/v1/pipelines").Pipelines; len(p) != 1 || p[0].State != state {
			t.Errorf("pipelines: %+v, want %s", p, state)
		}
	}
	f(413, 404, "broken")
	out, err := s.Reload(t.Context())
	if err != nil || len(out.Restart) > 0 || len(out.Failed) > 0 || !slices.Equal(out.Changed, []string{"log", "limits", "notify"}) {
		t.Errorf("%+v, %v", out, err)
	}
	f(201, 200, "ok")
	<-got
	if level.Level() != slog.LevelDebug {
		t.Errorf("the level is %s", level.Level())
	}
}

// TestReloadEmptiesWhatRLoads, but only what the file has filled.
func TestReloadEmptiesWhatRLoads(t *testing.T) {
	first := config(t.TempDir())
	first.R.Setup = "x <- 1"
	next := *first
	s := begin(t, first, Options{Reread: func() (*File, configs.Problems) { return &next, nil }})
	t.Cleanup(s.close)
	f := func(setup, want string) {
		t.Helper()
		next.R.Setup = setup
		if out, err := s.Reload(t.Context()); err != nil || len(out.Failed) > 0 {
			t.Errorf("%+v, %v", out, err)
		}
		if e := get[api.Environment](t, s, "/v1/environments/default"); e.Setup != want {
			t.Errorf("with %q tasks have %q, not %q", setup, e.Setup, want)
		}
	}
	f("x <- 1", "x <- 1")
	f("", "")
	if status, _, body := s.ask(t, "PUT", "/v1/environments/default", `{"setup": "y <- 2"}`); status != 200 {
		t.Fatal(status, body)
	}
	f("", "y <- 2")
}
