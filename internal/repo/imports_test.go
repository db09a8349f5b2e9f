package repo

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed is what each package may import of this module: the lower layers
// first. A new package gets a line here.
var allowed = map[string][]string{
	"rdata":                       {},
	"configs":                     {},
	"configs/examples":            {},
	"configs/examples/enrich/api": {}, // a command: the service the example asks
	"trace":                       {"configs"},
	"logs":                        {},
	"store":                       {"configs"},
	"webapi":                      {"configs"},
	"frame":                       {"rdata"},
	"frame/ndjson":                {"frame"},
	"frame/partition":             {},
	"rpool":                       {"rdata"},
	"rblock":                      {"configs", "rpool"},
	"stages/duckdb":               {"frame"},
	"stages":                      {"configs", "frame", "frame/ndjson", "rdata", "rpool", "stages/duckdb", "store", "webapi"},
	"sources":                     {"configs", "frame", "frame/ndjson", "frame/partition", "rdata", "stages", "store", "webapi"},
	"stages/tables":               {"configs", "frame", "sources", "stages", "store"},
	"sinks":                       {"configs", "frame", "frame/partition", "internal/durable", "internal/failpoint", "internal/filelock", "rdata", "stages", "store"},
	"sinks/compact":               {"configs", "frame", "frame/partition", "internal/durable", "internal/failpoint", "sinks", "sources", "stages", "store"},
	"pipeline/journal":            {"internal/durable", "internal/filelock", "sinks", "store"},
	"pipeline":                    {"configs", "frame", "internal/failpoint", "pipeline/journal", "rblock", "rpool", "schedule", "sinks", "sinks/compact", "sources", "stages", "stages/tables", "store", "tasks", "tasks/client", "tasks/remote"},
	"pipeline/view":               {"frame", "pipeline", "pipeline/journal", "sinks/compact", "stages"},
	"tokens":                      {"internal/durable", "internal/filelock"},
	"metrics":                     {"rpool", "stages"},
	"proxy/exchange":              {},
	"proxy/fault":                 {"proxy/exchange", "rpool"},
	"proxy/graph":                 {"proxy/fault", "rpool", "stages"},
	"proxy/front":                 {"configs", "proxy/exchange", "proxy/fault", "tokens"},
	"proxy/admin":                 {"configs", "metrics", "proxy/exchange", "proxy/fault", "rpool", "tokens"},
	"proxy/plumber":               {"configs", "proxy/exchange", "proxy/fault", "proxy/graph", "rpool"},
	"proxy/httpuv":                {"configs", "proxy/exchange", "proxy/fault", "rdata", "rpool"},
	"proxy/predict":               {"configs", "frame", "frame/ndjson", "pipeline", "proxy/exchange", "proxy/fault", "rdata", "rpool", "stages"},
	"proxy/async":                 {"configs", "proxy/exchange", "proxy/fault", "tasks", "tasks/blob", "tasks/broker", "tasks/index", "tasks/queue"},
	"proxy":                       {"configs", "metrics", "pipeline", "proxy/admin", "proxy/async", "proxy/exchange", "proxy/fault", "proxy/front", "proxy/graph", "proxy/httpuv", "proxy/plumber", "proxy/predict", "rblock", "rpool", "stages", "tokens"},
	"tasks":                       {},
	"tasks/broker":                {"internal/filelock", "tasks"},
	"tasks/blob":                  {"internal/durable", "internal/filelock", "store", "tasks/broker"},
	"tasks/rvalue":                {"rdata"},
	"tasks/index":                 {"tasks", "tasks/broker"},
	"tasks/queue":                 {"internal/failpoint", "tasks", "tasks/blob", "tasks/broker", "tasks/index"},
	"tasks/node":                  {"internal/filelock", "internal/tempdir", "rdata", "rpool", "tasks", "tasks/blob", "tasks/broker"},
	"tasks/launch":                {"configs", "tasks"},
	"tasks/api":                   {"configs"},
	"tasks/worker":                {"metrics", "configs", "internal/tempdir", "rpool", "store", "tasks", "tasks/blob", "tasks/broker", "tasks/launch", "tasks/node"},
	"tasks/client":                {"configs", "tasks", "tasks/api"},
	"tasks/remote":                {"rdata", "rpool", "tasks", "tasks/api", "tasks/client", "tasks/rvalue"},
	"schedule":                    {"configs"},
	"schedule/keeper":             {"internal/failpoint", "schedule", "tasks", "tasks/broker", "tasks/queue"},
	"server/session":              {"internal/durable", "proxy/exchange", "tokens"},
	"server/audit":                {},
	"notify":                      {"configs", "internal/durable"},
	"server/dashboard":            {"configs", "schedule", "tasks", "tasks/api"},
	"server/pipelines":            {"configs", "metrics", "pipeline", "pipeline/journal", "rpool", "schedule", "schedule/keeper", "sinks", "stages", "tasks", "tasks/api"},
	"server":                      {"server/pipelines", "server/dashboard", "notify", "server/audit", "server/session", "schedule", "schedule/keeper", "pipeline", "proxy", "proxy/admin", "configs", "internal/filelock", "metrics", "proxy/exchange", "proxy/fault", "proxy/front", "rblock", "rdata", "rpool", "store", "tasks", "tasks/api", "tasks/blob", "tasks/broker", "tasks/index", "tasks/node", "tasks/queue", "tasks/rvalue", "tokens"},
	"tools/sbom":                  {}, // a command of releases
	"cmd/rpipe":                   {"configs", "configs/examples", "pipeline", "pipeline/journal", "pipeline/view", "proxy", "rdata", "rpool", "schedule", "server", "sinks", "sinks/compact", "sources", "stages", "store", "tasks", "tasks/api", "tasks/client", "tasks/launch", "tasks/worker", "tokens"},
}

// anywhere is what every package but configs may import besides: what there is to
// watch is everywhere.
var anywhere = []string{"trace", "logs"}

// TestImports: imports run one way, from cmd down to rdata.
func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		may, known := allowed[p.name]
		if !known {
			// What nobody imports may use anything; the loop below holds that.
			if strings.HasPrefix(p.name, "internal/") || p.name == "bench" || strings.HasPrefix(p.name, "bench/") {
				continue
			}
			t.Errorf("package %s is not in the table of this test: say what it may import", p.name)
			continue
		}
		for _, imported := range p.imports {
			if slices.Contains(anywhere, imported) && p.name != "configs" && p.name != "trace" {
				continue
			}
			if !slices.Contains(may, imported) {
				t.Errorf("%s imports %s, which the table of this test does not allow", p.name, imported)
			}
		}
	}
}

type goPackage struct {
	name    string   // less the module's path
	imports []string // those of this module, less its path
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		g := goPackage{name: strings.TrimPrefix(p.ImportPath, module+"/")}
		for _, i := range p.Imports {
			if short, ours := strings.CutPrefix(i, module+"/"); ours {
				g.imports = append(g.imports, short)
			}
		}
		all = append(all, g)
	}
}
