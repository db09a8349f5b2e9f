package httpuv

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
)

//go:embed serve.R
var serveScript string

// Environment is base with what a worker needs to serve c. base.Dir must be the
// directory that c.Root names. For kind plumber, router is R code whose value is the
// router, or list(router, asked, dir) with arguments for its run() and the directory
// to run it in; "" reads File or Dir with plumber::plumb().
func (c *Config) Environment(base *rpool.Environment, router string) *rpool.Environment {
	env := *base
	env.Files = append(slices.Clone(env.Files), c.files()...)
	var b strings.Builder
	b.WriteString(base.Setup)
	// Attached, not in the global environment, which is the user's.
	b.WriteString("\nattach(local({\n")
	b.WriteString(serveScript)
	b.WriteString("load(" + quote(c.kind()) + ", " + quote(c.path()) + ", " + quote(router) + ")\n")
	b.WriteString("list(rpipe_serve = serve, rpipe_place = function() tempdir())\n")
	b.WriteString(`}), name = "rpipe:httpuv", warn.conflicts = FALSE)` + "\n")
	env.Setup = b.String()
	return &env
}

// files are those that the template reads: of a plumber API alone, whose router all
// workers share.
func (c *Config) files() []string {
	switch {
	case c.kind() != Plumber || c.Code != "":
		return nil
	case c.File != "":
		return []string{c.path()}
	}
	return []string{"entrypoint.R", "plumber.R"}
}

func (c *Config) kind() string {
	if c.Kind == "" {
		return App
	}
	return c.Kind
}

// quote is s as R source.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// placeCall asks a worker for its private directory.
func placeCall() (*rpool.Request, error) { return call("rpipe_place") }

// serveCall has a worker serve until it is told to end; its names are those that
// serve() reads.
func (c *Config) serveCall(socket, ready, ending, worker string) (*rpool.Request, error) {
	names := []string{"socket", "ready", "ending", "worker", "kind", "path", "code"}
	values := []string{socket, ready, ending, worker, c.kind(), c.path(), c.Code}
	order := rdata.NewCharacter(values)
	order.Attrs = rdata.Attributes{{Name: "names", Value: rdata.NewCharacter(names)}}
	r, err := call("rpipe_serve", order)
	if err != nil {
		return nil, err
	}
	r.Ending, r.Aloud = ending, true
	return r, nil
}

func call(fun string, args ...rdata.Value) (*rpool.Request, error) {
	data, err := rdata.AppendItem(nil, &rdata.List{Values: []rdata.Value{
		rdata.NewCharacter([]string{fun}), &rdata.List{Values: args},
	}})
	return &rpool.Request{Kind: rpool.Call, Data: data}, err
}
