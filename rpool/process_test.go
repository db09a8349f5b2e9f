//go:build unix

package rpool

import (
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

func TestRoundTrips(t *testing.T) {
	env := &Environment{Setup: `
		double_x <- function(df) { df$x <- df$x * 2; df }
		add <- function(a, b) a + b
	`, Start: StartFork}
	tpl := launched(t, env, nil)
	p := started(t, tpl)
	r, err := p.Do(t.Context(), &Request{Kind: Map, Fun: "double_x", Data: item(t, dataFrame("x", 1, 2, 3))})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", value(t, r).(*rdata.List).Values[0])
	r, err = p.Do(t.Context(), call("add", &rdata.Double{Values: []float64{1}}, &rdata.Double{Values: []float64{2}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", value(t, r))
}
