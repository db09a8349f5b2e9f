//go:build unix

package metrics

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

func TestMain(m *testing.M) {
	rpool.GuardMain()
	goleak.VerifyTestMain(m)
}

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func has(t *testing.T, page string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !slices.Contains(strings.Split(page, "\n"), line) {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(regexp.MustCompile(`(?m)^(go|process|#).*\n`).ReplaceAllString(page, ""))
	}
}

// full is a registry in which each metric has something to say: a pool of real R
// with a request that went well, one that failed and one that killed its worker.
func full(t *testing.T) *Registry {
	t.Helper()
	p, err := rpool.New(rpool.Options{Max: 2, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	env := &rpool.Environment{Env: []string{"R_PROFILE_USER=/dev/null"}, Setup: "die <- function() tools::pskill(Sys.getpid(), 9L)"}
	do := func(pri rpool.Priority, fun string) error {
		fields := &rdata.Character{Data: []byte(fun), Offsets: []int64{0, int64(len(fun))}}
		data, err := rdata.AppendItem(nil, &rdata.List{Values: []rdata.Value{fields, &rdata.List{}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Do(t.Context(), env, pri, &rpool.Request{Kind: rpool.Call, Data: data})
		return err
	}
	if err := do(rpool.Interactive, "Sys.getpid"); err != nil {
		t.Fatal(err)
	}
	if err := do(rpool.Bulk, "stop"); err == nil {
		t.Error("stop() does not fail")
	}
	if err := do(rpool.Interactive, "die"); !errors.As(err, new(*rpool.DiedError)) {
		t.Errorf("got %v", err)
	}
	r := New()
	r.Pool("main", p)
	r.Run("flights", func() []stages.Reading {
		return []stages.Reading{{Name: "map", RowsIn: 7, RowsOut: 5, InFlight: 2, Reasons: map[string]int64{"rows": 3}, Errors: map[string]int64{"r_error": 1}}}
	})
	return r
}

func TestAPoolAndAPipelineAreShown(t *testing.T) {
	r := full(t)
	has(t, scrape(t, r),
		`rpipe_pool_max_workers{pool="main"} 2`,
		`rpipe_pool_reserved_workers{pool="main"} 1`,
		`rpipe_pool_requests_total{outcome="ok",pool="main"} 1`,
		`rpipe_pool_requests_total{outcome="error",pool="main"} 1`,
		`rpipe_pool_requests_total{outcome="lost",pool="main"} 1`,
		`rpipe_pool_queue_wait_seconds_count{pool="main",priority="interactive"} 2`,
		`rpipe_pool_queue_wait_seconds_bucket{pool="main",priority="bulk",le="+Inf"} 1`,
		`rpipe_pool_run_seconds_bucket{pool="main",priority="bulk",le="300"} 1`,
		`rpipe_worker_deaths_total{cause="SIGKILL",pool="main"} 1`,
		`rpipe_worker_deaths_total{cause="exit",pool="main"} 0`,
		`rpipe_stage_rows_total{direction="in",pipeline="flights",stage="map"} 7`,
		`rpipe_stage_batches_in_flight{pipeline="flights",stage="map"} 2`,
		`rpipe_stage_batch_cuts_total{pipeline="flights",reason="rows",stage="map"} 3`,
		`rpipe_stage_errors_total{class="r_error",pipeline="flights",stage="map"} 1`,
		`rpipe_pipeline_runs{pipeline="flights"} 1`,
	)
}

func TestTheMetricsAreCleanByPrometheusRules(t *testing.T) {
	page := scrape(t, full(t))
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "rpipe_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, f := range families {
		if !strings.HasSuffix(f.help, ".") || strings.ToUpper(f.help[:1]) != f.help[:1] {
			t.Errorf("%s: the help is no sentence: %s", f.name, f.help)
		}
	}
}

// TestDocs: docs/metrics.md has each metric with its type, labels and meaning, and
// a scrape has each metric that stands there.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	kinds := map[prometheus.ValueType]string{histogram: "histogram", counter: "counter", gauge: "gauge"}
	for _, f := range families {
		labels := "`" + strings.Join(f.labels, "`, `") + "`"
		io.WriteString(&want, "| `"+f.name+"` | "+kinds[f.kind]+" | "+labels+" | "+f.help+" |\n")
	}
	if !bytes.Contains(page, want.Bytes()) { // those of the task server follow; see internal/observe
		t.Errorf("docs/metrics.md should have these rows:\n%s", want.Bytes())
	}

	shown, err := full(t).Prometheus().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !slices.ContainsFunc(shown, func(m *dto.MetricFamily) bool { return m.GetName() == f.name }) {
			t.Errorf("%s is not shown", f.name)
		}
	}
}

func TestTheLatestPoolOfANameIsShown(t *testing.T) {
	pool := func(most int) *rpool.Pool {
		p, err := rpool.New(rpool.Options{Max: most})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	r := New()
	first := r.Pool("main", pool(3))
	second := r.Pool("main", pool(4))
	has(t, scrape(t, r), `rpipe_pool_max_workers{pool="main"} 4`)
	first()
	has(t, scrape(t, r), `rpipe_pool_max_workers{pool="main"} 4`)
	second()
	if page := scrape(t, r); strings.Contains(page, "rpipe_pool") {
		t.Error("a pool is shown after it was unregistered")
	}
}

func TestCountersOfAPipelineNeverFall(t *testing.T) {
	r := New()
	reading := func(rows int64) func() []stages.Reading {
		return func() []stages.Reading {
			return []stages.Reading{{Name: "map", RowsIn: rows, InFlight: 1, Errors: map[string]int64{"died": 1}}}
		}
	}
	shown := func(rows, flight, errors, runs string) {
		t.Helper()
		has(t, scrape(t, r),
			`rpipe_stage_rows_total{direction="in",pipeline="p",stage="map"} `+rows,
			`rpipe_stage_batches_in_flight{pipeline="p",stage="map"} `+flight,
			`rpipe_stage_errors_total{class="died",pipeline="p",stage="map"} `+errors,
			`rpipe_pipeline_runs{pipeline="p"} `+runs)
	}
	first := r.Run("p", reading(10))
	second := r.Run("p", reading(5))
	shown("15", "2", "2", "2")
	first()
	first()
	shown("15", "1", "2", "1")
	second()
	shown("15", "0", "2", "0")
	defer r.Run("p", reading(1))()
	shown("16", "1", "3", "1")
	shown("16", "1", "3", "1") // a scrape adds nothing
}

func TestTheBuildSaysItsVersion(t *testing.T) {
	r := New()
	r.SetVersion("v1.2.3")
	if page := scrape(t, r); !regexp.MustCompile(`rpipe_build_info\{goversion="go1[^"]*",version="v1.2.3"\} 1`).MatchString(page) {
		t.Error("no such line")
	}
}
