package observe

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented are the metrics of the pages, with their types.
func documented(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, page := range []string{"metrics.md", "status.md"} {
		for _, m := range regexp.MustCompile("(?m)^\\| `(rpipe_[a-z_]+)` \\| (\\w+) \\|").FindAllStringSubmatch(read(t, filepath.Join("../../docs", page)), -1) {
			out[m[1]] = m[2]
		}
	}
	if len(out) < 30 {
		t.Fatalf("only %d metrics are documented", len(out))
	}
	return out
}

// scraped are the metrics of a scrape, with their types and what is said of them.
func scraped(page string) (types, help map[string]string) {
	types, help = map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# (TYPE|HELP) (rpipe_\w+) (.*)$`).FindAllStringSubmatch(page, -1) {
		if m[1] == "TYPE" {
			types[m[2]] = m[3]
		} else {
			help[m[2]] = m[3]
		}
	}
	return types, help
}

// TestWhatAServerExposesIsDocumented, and what is documented is exposed.
func TestWhatAServerExposesIsDocumented(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plumber.R"), "#* @get /hello\nfunction() 'hello'\n\n#* @get /die\nfunction() tools::pskill(Sys.getpid(), 9L)\n")
	file := write(t, filepath.Join(dir, "rpipe.yaml"), `
version: 1
listen: 127.0.0.1:0
data: data
log: {access: "off"}
workers: {max: 2}
schedules:
  - {name: often, cron: "* * * * * *", expr: "1 + 1"}
apis:
  - {path: /api, plumber: {file: plumber.R}}
`)
	serve := run(t, nil, "serve", file)
	url := serve.said(`msg=serving url=(\S+)`)
	id, _ := decoded(t, ask(t, "POST", url+"/v1/jobs", `{"expr": "1"}`))["id"].(string)
	ask(t, "POST", url+"/v1/wait", `{"ids": ["`+id+`"]}`)
	ask(t, "GET", url+"/api/hello", "")

	docs := documented(t)
	var types, help map[string]string
	for range 600 { // until the schedule has run
		types, help = scraped(ask(t, "GET", url+"/metrics", ""))
		if types["rpipe_schedule_last_run_timestamp_seconds"] != "" && types["rpipe_tasks_ended_total"] != "" {
			break
		}
		<-after()
	}
	var rows []string
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if docs[name] != types[name] {
			rows = append(rows, fmt.Sprintf("| `%s` | %s | | %s |", name, types[name], help[name]))
		}
	}
	if len(rows) > 0 {
		t.Errorf("docs/metrics.md should have:\n%s", strings.Join(rows, "\n"))
	}
	// These come with a run of a pipeline, or with what goes wrong: package metrics
	// and proxy/admin hold them to the pages.
	elsewhere := regexp.MustCompile(`^rpipe_(pipeline|stage)_|^rpipe_http_(faults|retries)_total$`)
	for name := range docs {
		if types[name] == "" && !elsewhere.MatchString(name) {
			t.Errorf("%s is documented, and not exposed", name)
		}
	}
}
