//go:build unix

package rpool

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// launched brings up env with real R; it is closed with the test.
func launched(t testing.TB, env *Environment, o *Options) template {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	e := *env
	e.Env = append([]string{"R_PROFILE_USER=/dev/null", "R_ENVIRON_USER=/dev/null"}, e.Env...)
	tpl, err := launch(t.Context(), &e, o)
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	t.Cleanup(tpl.Close)
	return tpl
}

// started is a worker of tpl; it is stopped with the test.
func started(t testing.TB, tpl template) *worker {
	t.Helper()
	p, err := tpl.Start(t.Context())
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(p.Stop)
	return p.(*worker)
}

func item(t testing.TB, v rdata.Value) []byte {
	t.Helper()
	b, err := rdata.AppendItem(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func text(s ...string) *rdata.Character {
	v := &rdata.Character{Offsets: []int64{0}}
	for _, x := range s {
		v.Data = append(v.Data, x...)
		v.Offsets = append(v.Offsets, int64(len(v.Data)))
	}
	return v
}

// dataFrame is a data.frame of one numeric column.
func dataFrame(name string, x ...float64) rdata.Value {
	return &rdata.List{
		Values: []rdata.Value{&rdata.Double{Values: x}},
		Attrs: rdata.Attributes{
			{Name: "names", Value: text(name)},
			{Name: "class", Value: text("data.frame")},
			{Name: "row.names", Value: &rdata.Integer{Values: []int32{-1 << 31, int32(-len(x))}}},
		},
	}
}

// call is a request to call fun with args.
func call(fun string, args ...rdata.Value) *Request {
	b, err := rdata.AppendItem(nil, &rdata.List{Values: []rdata.Value{text(fun), &rdata.List{Values: args}}})
	if err != nil {
		panic(err)
	}
	return &Request{Kind: Call, Data: b}
}

// run is a request to evaluate R code, whose value is the answer.
func run(code ...string) *Request {
	return call("eval_code", text(strings.Join(code, "\n")))
}

// numbered is run of code that has one %d.
func numbered(code string, i int) *Request { return run(fmt.Sprintf(code, i)) }

// evalCode defines the function that run calls.
const evalCode = `eval_code <- function(code) eval(parse(text = code, keep.source = FALSE), globalenv())` + "\n"

func value(t testing.TB, r *Reply) rdata.Value {
	t.Helper()
	v, err := rdata.UnmarshalItem(r.Data, nil)
	if err != nil {
		t.Fatalf("reply: %v", err)
	}
	return v
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
