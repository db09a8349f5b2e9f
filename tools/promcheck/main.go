// Command promcheck checks rules for Prometheus and queries of a Grafana dashboard with
// Prometheus' own parsers, and prints the names of the metrics that they ask for.
//
//	promcheck RULES.yaml DASHBOARD.json
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// names are the metrics that were asked for.
var names = map[string]bool{}

func main() {
	if len(os.Args) != 3 {
		fatal("usage: promcheck RULES.yaml DASHBOARD.json")
	}
	rules(os.Args[1])
	dashboard(os.Args[2])
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Println(name)
	}
}

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func rules(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		fatal("%v", err)
	}
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, p, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	for _, err := range errs {
		fatal("%s: %v", path, err)
	}
	n := 0
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			query(path+": "+r.Alert+r.Record, r.Expr)
			n++
		}
	}
	if n == 0 {
		fatal("%s: no rules", path)
	}
}

func query(where, text string) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		fatal("%s: %s: %v", where, text, err)
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			for _, m := range v.LabelMatchers {
				if m.Name == labels.MetricName {
					names[m.Value] = true
				}
			}
		}
		return nil
	})
}

// dashboard checks each query, with Grafana's variables filled in.
func dashboard(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		fatal("%v", err)
	}
	var root any
	if err := json.Unmarshal(text, &root); err != nil {
		fatal("%s: %v", path, err)
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h", "$instance", ".+", "$job", ".+")
	n := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if expr, ok := v["expr"].(string); ok {
				query(path, fill.Replace(expr))
				n++
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(root)
	if n == 0 {
		fatal("%s: no queries", path)
	}
}
