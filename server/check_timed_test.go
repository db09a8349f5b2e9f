package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rpipe check finds what a start would say of schedules and pipelines, and what only their
// runs would.
func TestCheckOfSchedulesAndPipelines(t *testing.T) {
	pipe := "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out, if_exists: append}}\n"
	for name, c := range map[string]struct {
		text  string
		files map[string]string
		want  []string // of each problem, in their order
	}{
		"all is well": {
			text:  "pipelines: p\nschedules:\n  - {name: x, cron: '@daily', file: x.R}\n  - {name: y, after: [x, a], expr: '1'}\n",
			files: map[string]string{"x.R": "1", "p/a.yaml": pipe, "p/b.yaml": pipe + "schedule: {after: y}\n"},
		},
		"no directory":  {text: "pipelines: p\n", want: []string{"rpipe.yaml:1:12: pipelines.dir: open "}},
		"no script":     {text: "schedules:\n  - {name: x, cron: '@daily', file: x.R}\n", want: []string{"rpipe.yaml:2:37: schedules[0].file: x.R: no such file"}},
		"after nothing": {text: "schedules:\n  - {name: x, after: y, expr: '1'}\n", want: []string{`rpipe.yaml:2:22: schedules[0].after[0]: there is no schedule or pipeline "y"`}},
		"a circle": {
			text: "schedules:\n  - {name: x, after: y, expr: '1'}\n  - {name: y, after: x, expr: '1'}\n",
			want: []string{"rpipe.yaml:2:3: schedules: schedule x comes after itself, by after: [x y x]"},
		},
		"a circle through a pipeline": {
			text:  "pipelines: p\nschedules:\n  - {name: x, after: a, expr: '1'}\n",
			files: map[string]string{"p/a.yaml": pipe + "schedule: {after: x}\n"},
			want:  []string{"rpipe.yaml:3:3: schedules: schedule a comes after itself, by after: [a x a]"},
		},
		"a pipeline notifies nobody": {
			text:  "pipelines: p\nnotify: {chat: 'https://chat.example/x'}\n",
			files: map[string]string{"p/a.yaml": pipe + "schedule: {cron: '@daily', notify: [chat, ops]}\n"},
			want:  []string{"a.yaml:4:43: schedule.notify[1]: there is no ops under notify in rpipe.yaml"},
		},
		"a pipeline with errors": {
			text:  "pipelines: p\nschedules:\n  - {name: x, after: a, expr: '1'}\n",
			files: map[string]string{"p/a.yaml": "nonsense: 1\n" + pipe, "p/b.yaml": pipe + "stages: [filter: {where: nothing > 1}]\n"},
			want:  []string{"a.yaml:1:1: nonsense: unknown key", `b.yaml:4:18: stages[0].filter: column 1: there is no column "nothing"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "rpipe.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			f, problems := Check(t.Context(), path, nil)
			if f == nil || len(problems) != len(c.want) {
				t.Fatalf("%d problems, want %d: %v", len(problems), len(c.want), problems)
			}
			for i, p := range problems {
				if !strings.Contains(p.String(), c.want[i]) {
					t.Errorf("%s\nwant …%s…", p, c.want[i])
				}
			}
		})
	}
}
