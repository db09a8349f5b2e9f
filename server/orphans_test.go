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
