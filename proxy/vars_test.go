//go:build cgo && unix

package proxy

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// The values of -v are those of the pipelines behind endpoints too, which need not
// use all of them.
func TestVariablesReachThePipelineOfAnEndpoint(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"p.yaml":     "version: 1\nsource: {rows: [{x: 1}]}\nstages:\n  - derive: {y: \"x * ${factor}\"}\nsink: {stdout: {}}\n",
		"proxy.yaml": "version: 1\nname: \"${factor} ${other}\"\nlisten: 127.0.0.1:0\napis:\n  - predict:\n      - {path: /p, pipeline: p.yaml}\n",
	})
	f, problems := Load(filepath.Join(dir, "proxy.yaml"), map[string]string{"factor": "7", "other": "x"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := started(t, f, Options{})
	status, body := get(t, s, "/p", func(r *http.Request) {
		posted, err := http.NewRequest(http.MethodPost, r.URL.String(), strings.NewReader(`[{"x": 6}]`))
		if err != nil {
			t.Fatal(err)
		}
		*r = *posted
	})
	if status != 200 || !strings.Contains(body, `"y":42`) {
		t.Errorf("%d %s", status, body)
	}
}
