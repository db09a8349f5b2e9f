//go:build unix

package server

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/internal/browsertest"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

var uiShots = flag.String("shots", "", "write pictures of the pages to this directory")

// stage is a server with something of everything.
type stage struct {
	*site
	slow, mixed, failed *api.Job
}

const enrich = `version: 1
source: {range: {to: 100000}}
r: {setup: "score <- function(d) { Sys.sleep(0.1); d$score <- as.integer(d$i %% 7); d }"}
stages:
  - derive: {half: i / 2}
  - batch: {rows: 500}
  - map: {fun: score, returns: {i: int32, half: double, score: int32}}
  - filter: score < 5
sink: {parquet: {path: scores, if_exists: replace}}
`

func setStage(t *testing.T) *stage {
	t.Helper()
	dir := pipelineFiles(t, map[string]string{"enrich.yaml": enrich, "prices.yaml": byHand, "in.csv": "x\n1\nbad\n3\n"})
	s := &stage{site: serve(t, func(f *File) {
		f.Workers.None, f.Workers.Max, f.Workers.Queues = false, 2, []string{"default", "reports"}
		f.Grace = 1e9
		f.Dashboard.Refresh = 2e8
		f.Pipelines.Dir = dir
		for name, cron := range map[string]string{"check-prices": "@every 2s", "nightly-report": "30 2 * * *"} {
			var at Schedule
			configs.SetDefaults(&at)
			at.Name, at.Cron, at.Fun = name, cron, "function() { cat('checked 12 series\\n'); 12L }"
			f.Schedules = append(f.Schedules, at)
		}
	})}
	s.failed = submit(t, s.c, `{"name":"price-curve","labels":{"study":"a12"},"fun":"function(x) { message('fitting ', x); inner <- function(v) stop(structure(class = c('no_data', 'error', 'condition'), list(message = paste('no prices for', v), call = sys.call()))); inner(x) }","args":["EUR"]}`)
	s.mixed = submit(t, s.c, `{"name":"simulate","labels":{"study":"b7"},"fun":"function(x) { if (x %% 9 == 4) stop('the series does not converge after 500 iterations'); data.frame(step = 1:30, value = round(sin(x + 1:30), 3), ok = TRUE) }","over":[`+strings.TrimSuffix(strings.Repeat("1,2,3,4,5,6,7,8,9,10,", 6), ",")+`]}`)
	submit(t, s.c, `{"name":"monthly-report","fun":"function(month) { cat('rendering ', month, '\n', sep = ''); list(month = month, pages = 12L, charts = c('a', 'b')) }","args":{"month":"2026-02"},"queue":"reports"}`)
	submit(t, s.c, `{"name":"nightly","fun":"Sys.time","delay":"3h","queue":"reports"}`)
	ended(t, s.c, s.failed.ID, s.mixed.ID)
	return s
}

// TestAPageComesBackWhereItsStreamWasRefused, as a proxy refuses it while the server starts:
// browsers do not try again by themselves then.
func TestAPageComesBackWhereItsStreamWasRefused(t *testing.T) {
	s := serve(t, nil)
	at, err := s.browserURL()
	if err != nil {
		t.Fatal(err)
	}
	var refused, passed atomic.Int32
	var up atomic.Bool
	forward := httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ui/events" {
			if !up.Load() {
				refused.Add(1)
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			passed.Add(1)
		}
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	tab := browsertest.Open(t, proxy.URL)
	tab.Go("/ui/")
	eventually(t, func() bool { return refused.Load() > 0 })
	up.Store(true)
	eventually(t, func() bool { return passed.Load() > 0 })
	submit(t, s.c, `{"name": "came-back", "expr": "1", "queue": "nobody"}`)
	tab.Wait(`document.querySelector("#inside").innerText.includes("came-back")`)
	tab.Go("/login") // which has no stream, that would keep the proxy from closing
}

// TestDashboardInABrowser clicks through what a user does on a day.
func TestDashboardInABrowser(t *testing.T) {
	s := setStage(t)
	tab := browsertest.Open(t, s.URL())
	tab.Screen(1280, 900, 1, "light")
	text := func(words string) string {
		return fmt.Sprintf(`document.querySelector("#inside").innerText.includes(%q)`, words)
	}

	// It is seen live what another client submits.
	tab.Go("/")
	tab.Wait(`location.pathname === "/ui/" && document.querySelector("#live [role=status]").textContent === "live"`)
	tab.Value(`document.querySelector("h1").marked = true`)
	s.slow = submit(t, s.c, `{"name":"slow-fit","fun":"function() { for (i in 1:600) { cat('iteration ', i, '\n', sep = ''); Sys.sleep(0.1) } }"}`)
	tab.Wait(text("slow-fit"))
	tab.Wait(text("running"))
	if tab.Value(`document.querySelector("h1").marked`) != "true" {
		t.Error("the page was loaded again, not changed")
	}

	// A filter, by the form; then the task, its log as it is written.
	tab.Click(`.side a[href="/ui/tasks"]`)
	tab.Type(`#f-text`, "slow")
	tab.Click(`.filter .primary`)
	tab.Wait(`location.search.includes("text=slow") && document.querySelectorAll("tbody tr").length === 1`)
	tab.Click(`tbody tr td.name a`)
	tab.Wait(`document.querySelectorAll("#log .line").length > 3`)
	tab.Value(`window.before = document.querySelectorAll("#log .line").length`)
	tab.Wait(`document.querySelectorAll("#log .line").length > before + 3`)
	// Cancelled: it is asked first, and nothing happens where the answer is no.
	tab.Click(`form[action$="/cancel"] button`)
	tab.Wait(`document.querySelector("#confirm").open`)
	tab.Click(`#confirm-no`)
	tab.Click(`form[action$="/cancel"] button`)
	tab.Click(`#confirm-yes`)
	tab.Wait(`document.querySelector(".head .badge").textContent === "cancelled"`)
	tab.Wait(text("Cancelled by"))

	// A failed task is tried again.
	tab.Go("/ui/tasks/" + s.failed.ID + ".1")
	for _, words := range []string{"no prices for EUR", "no_data", "fitting EUR", "Traceback"} {
		tab.Wait(text(words))
	}
	tab.Click(`form[action$="/retry"] button`)
	tab.Wait(`document.querySelector("#flash").textContent.includes("is tried again as")`)
	tab.Click(`#flash a`)
	tab.Wait(`location.pathname.startsWith("/ui/tasks/") && !location.pathname.includes("` + s.failed.ID + `")`)
	tab.Wait(`document.querySelector(".head .badge").textContent === "error"`)

	// A data frame is a table; the picture of an array job is walked by arrow keys.
	tab.Go("/ui/jobs/" + s.mixed.ID)
	tab.Wait(`document.querySelectorAll(".cells a").length === 60 && document.querySelectorAll(".cells .f-ERROR").length === 6`)
	tab.Value(`document.querySelector(".cells a").focus()`)
	for range 3 {
		tab.Key("ArrowRight")
	}
	if at := tab.Value(`document.activeElement.title`); at != "Task 4: ERROR" {
		t.Errorf("three cells to the right is %q", at)
	}
	tab.Value(`document.querySelectorAll(".cells a")[2].click()`)
	tab.Wait(`document.querySelectorAll("table.data tbody tr").length === 15`)
	tab.Wait(text("The first 15 of 30 rows"))

	// A queue is paused and goes on; its limit is set.
	tab.Go("/ui/queues")
	tab.Click(`[aria-label="Pause queue reports"]`)
	tab.Wait(`document.querySelector("#flash").textContent.includes("is paused")`)
	if q, err := s.c.Queue(t.Context(), "reports"); err != nil || !q.Paused {
		t.Errorf("%+v %v", q, err)
	}
	tab.Type(`#max-reports`, "500")
	tab.Click(`[aria-label="Set the limit of queue reports"]`)
	tab.Wait(text("of 500 at most"))
	tab.Click(`[aria-label="Resume queue reports"]`)
	tab.Wait(`document.querySelector("[aria-label='Pause queue reports']") !== null`)

	// Several at once.
	tab.Go("/ui/tasks?state=ERROR&job=" + s.mixed.ID)
	tab.Wait(`document.querySelectorAll("tbody tr").length === 6 && !document.querySelector("#mark-all").hidden`)
	tab.Click(`#mark-all`)
	tab.Click(`button[value=delete]`)
	tab.Click(`#confirm-yes`)
	tab.Wait(text("No task is like that"))

	// A schedule: its calendar has runs, it is run by hand, paused, and made up for.
	tab.Go("/ui/schedules")
	tab.Wait(`document.querySelectorAll(".calendar tbody tr").length === 4 && document.querySelector(".calendar .mark-run.ok") !== null`)
	tab.Click(`[aria-label="Run nightly-report now"]`)
	tab.Wait(`document.querySelector("#flash").textContent.includes("runs")`)
	tab.Click(`#flash a`)
	tab.Wait(`location.pathname.startsWith("/ui/runs/") && document.querySelector(".head .badge").textContent === "complete"`)
	tab.Wait(text("checked 12 series"))
	tab.Click(`.crumbs a[href="/ui/schedules/nightly-report"]`)
	tab.Wait(`document.querySelectorAll(".times li").length === 8 && document.querySelectorAll("tbody tr").length === 1`)
	tab.Value(`document.querySelector("details.more").open = true`)
	tab.Type(`#b-from`, "2026-01-01")
	tab.Type(`#b-to`, "2026-01-03")
	tab.Click(`form[action$="/backfill"] button`)
	tab.Wait(`document.querySelector("#flash").textContent.includes("made up for")`)
	tab.Wait(`document.querySelectorAll("tbody tr").length === 3`)
	tab.Click(`form[action$="/pause"] button`)
	tab.Wait(`document.querySelector(".head .badge").textContent === "paused"`)
	tab.Value(`document.activeElement.blur()`)

	// A pipeline runs, and its graph tells how; rows that failed run again.
	tab.Go("/ui/pipelines")
	tab.Click(`#p-enrich td a`)
	tab.Click(`form[action$="/run"] button`)
	tab.Wait(`document.querySelectorAll(".graph .share-busy").length >= 5 && document.querySelector(".graph .bottleneck .label").textContent.includes("map")`)
	tab.Wait(text("rows read"))
	if *uiShots != "" {
		tab.Shot(filepath.Join(*uiShots, "dashboard-pipeline-light.png"))
		tab.Screen(1280, 900, 1, "dark")
		tab.Accessible("pipeline")
		tab.Shot(filepath.Join(*uiShots, "dashboard-pipeline-dark.png"))
		tab.Screen(1280, 900, 1, "light")
	}
	tab.Click(`#flash a`)
	tab.Wait(`location.pathname.startsWith("/ui/runs/")`)
	tab.Click(`form[action$="/cancel"] button`)
	tab.Click(`#confirm-yes`)
	tab.Wait(`document.querySelector(".head .badge").textContent === "cancelled"`)
	tab.Go("/ui/pipelines/prices")
	tab.Click(`form[action$="/run"] button`)
	tab.Wait(`document.querySelector("[aria-labelledby=h-dead] tbody tr") !== null`)
	tab.Click(`form[action$="/replay"] button`)
	tab.Wait(`document.querySelector("#flash").textContent.includes("run again")`)
	tab.Value(`document.activeElement.blur()`)

	// Keys.
	tab.Key("?")
	tab.Wait(`document.querySelector("#keys").open`)
	tab.Click(`#keys-close`)
	tab.Value(`document.activeElement.blur()`)
	tab.Key("g")
	tab.Key("w")
	tab.Wait(`location.pathname === "/ui/workers"`)

	// The worker is stopped.
	tab.Click(`tbody tr a, h2 a[href^="/ui/workers/"]`)
	tab.Wait(`location.pathname.startsWith("/ui/workers/") && document.querySelector("h1") !== null`)
	tab.Click(`form[action$="/stop"] button`)
	tab.Click(`#confirm-yes`)
	tab.Wait(`document.querySelector("#flash").textContent.includes("is stopping") || document.querySelector("#flash").textContent.includes("stopping")`)
	eventually(t, func() bool {
		all, err := s.c.Workers(t.Context())
		return err == nil && len(all.Workers) == 0
	})

	// The server goes: the page says so, and shows what it knew.
	tab.Go("/ui/jobs")
	tab.Wait(`document.querySelector("#live [role=status]").textContent === "live"`)
	s.Server.Close()
	tab.Wait(`document.querySelector("#live [role=status]").textContent === "no answer" && ` + text("simulate"))
}

// TestPagesAreAccessible looks at every page in light and dark, on a desk and on a phone.
// With -shots it writes pictures.
func TestPagesAreAccessible(t *testing.T) {
	s := setStage(t)
	big := submit(t, s.c, `{"name":"bootstrap","fun":"identity","over":[`+strings.TrimSuffix(strings.Repeat("1,", 20000), ",")+`],"queue":"elsewhere"}`)
	tab := browsertest.Open(t, s.URL())
	workers, err := s.c.Workers(t.Context())
	if err != nil || len(workers.Workers) == 0 {
		t.Fatal(workers, err)
	}
	for _, page := range []struct{ name, path string }{
		{"overview", "/ui/"}, {"tasks", "/ui/tasks"}, {"jobs", "/ui/jobs"}, {"job", "/ui/jobs/" + s.mixed.ID}, {"big", "/ui/jobs/" + big.ID},
		{"task", "/ui/tasks/" + s.failed.ID + ".1"}, {"result", "/ui/tasks/" + s.mixed.ID + ".1"}, {"queues", "/ui/queues"}, {"workers", "/ui/workers"},
		{"schedules", "/ui/schedules"}, {"month", "/ui/schedules?span=month"}, {"schedule", "/ui/schedules/check-prices"}, {"apis", "/ui/apis"}, {"pipelines", "/ui/pipelines"}, {"pipeline-still", "/ui/pipelines/prices"},
		{"worker", "/ui/workers/" + workers.Workers[0].ID}, {"settings", "/ui/settings"}, {"missing", "/ui/tasks/01k0000000000000000000zzzz.1"}, {"nothing", "/ui/tasks?text=nosuchthing"},
	} {
		for _, screen := range []struct {
			name, scheme  string
			width, height int64
		}{{"light", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"phone", "dark", 390, 1100}} {
			tab.Screen(screen.width, screen.height, 1, screen.scheme)
			tab.Go(page.path)
			tab.Wait(`document.querySelector("#live") && !document.querySelector("#live").hidden`)
			tab.Accessible(page.name + ", " + screen.name)
			if dark := tab.Value(`getComputedStyle(document.body).backgroundColor.match(/\d+/)[0] < 100`); dark != fmt.Sprint(screen.scheme == "dark") {
				t.Errorf("%s is dark: %s", page.name, dark)
			}
			if *uiShots != "" {
				tab.Shot(filepath.Join(*uiShots, "dashboard-"+page.name+"-"+screen.name+".png"))
			}
		}
	}
}
