package observe

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	rulesFile     = "../../deploy/prometheus/rpipe.rules.yaml"
	dashboardFile = "../../deploy/grafana/rpipe.json"
)

// promcheck builds the checker, which has Prometheus' own parsers in a module of its own.
func promcheck(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "promcheck")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = "../../tools/promcheck"
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tools/promcheck: %v\n%s(go needs its module proxy the first time)", err, out)
	}
	return path
}

// TestQueriesAskForWhatThereIs: each rule and each query of the dashboard parses, and asks
// for metrics that are documented, which are those that are exposed.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	check, known := promcheck(t), documented(t)
	cmd := exec.Command(check, rulesFile, dashboardFile)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	names := strings.Fields(string(out))
	if len(names) < 25 {
		t.Errorf("only %d metrics are asked for: %v", len(names), names)
	}
	for _, name := range names {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		switch kind, ok := known[base]; {
		case strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_"):
		case !ok:
			t.Errorf("%s is no metric of docs/metrics.md", name)
		case (base != name) != (kind == "histogram"):
			t.Errorf("%s is a %s", name, kind)
		}
	}

	// The checker finds what is wrong.
	for _, bad := range []string{"groups: [{name: x, rules: [{alert: A, expr: 'sum('}]}]", "groups: [{name: x, rules: [{alert: A, exp: x}]}]", "groups: []"} {
		if exec.Command(check, write(t, filepath.Join(t.TempDir(), "r.yaml"), bad), dashboardFile).Run() == nil {
			t.Errorf("it takes %s", bad)
		}
	}
}

// TestTheDashboardCanBeImported: what Grafana wants of a file, and no two panels in one
// place.
func TestTheDashboardCanBeImported(t *testing.T) {
	type target struct{ Expr, RefID string }
	var d struct {
		UID, Title    string
		SchemaVersion int
		ID            *int
		Templating    struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			ID         int
			Type       string
			Title      string
			Datasource struct{ UID string }
			GridPos    struct{ X, Y, W, H int }
			Targets    []target
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "rpipe" || d.Title == "" || d.SchemaVersion < 36 || d.ID != nil {
		t.Errorf("uid %q, title %q, schema %d, id %v", d.UID, d.Title, d.SchemaVersion, d.ID)
	}
	variables := map[string]string{}
	for _, v := range d.Templating.List {
		variables[v.Name] = v.Type
	}
	if variables["datasource"] != "datasource" || variables["instance"] != "query" {
		t.Errorf("variables %v", variables)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 || p.Title == "" {
			t.Errorf("%q: data source %q, %d queries", p.Title, p.Datasource.UID, len(p.Targets))
		}
		for _, q := range p.Targets {
			if q.Expr == "" || !strings.Contains(q.Expr, "$instance") {
				t.Errorf("%s: %q is not about the instance that was chosen", p.Title, q.Expr)
			}
		}
	}
	if kinds := slices.Collect(maps.Values(taken)); len(kinds) == 0 {
		t.Error("no panels")
	}
}
