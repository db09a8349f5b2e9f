package plumber

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/rpool"
)

var (
	//go:embed router.R
	routerR string
	//go:embed docs.R
	docsR string
	//go:embed about.R
	aboutR string
	//go:embed errors.R
	errorsR string
	//go:embed fork.R
	forkR string
	//go:embed handler.R
	handlerR string
)

// Site is where an API is reached, which its documentation may name.
type Site struct {
	Prefix      string // path that it is mounted below, without a slash at its end
	Host        string // that is listened on; "" is 127.0.0.1
	Port        int
	Development bool // errors are traced to file and line, and answers tell them
}

// Environment is base with the API as its handler. The API's file is looked for
// in base.Dir, which is to be what Config.Root says.
func Environment(base *rpool.Environment, c *Config, at Site) *rpool.Environment {
	env := *base
	if !slices.Contains(env.Packages, "plumber") {
		env.Packages = append([]string{"plumber"}, env.Packages...)
	}
	_, name := c.split()
	env.Files = append(slices.Clone(env.Files), c.files()...)
	if at.Host == "" {
		at.Host = "127.0.0.1"
	}
	env.Handler = strings.Join([]string{routerR, docsR, aboutR, errorsR, forkR, handlerR}, "\n") + fmt.Sprintf(
		"main(%s, %s, list(prefix = %s, host = %s, port = %dL, development = %s))\n",
		rString(name), rBool(c.Docs), rString(at.Prefix), rString(at.Host), at.Port, rBool(at.Development))
	then := rpool.DefaultCanary
	if env.Canary != "" {
		then = env.Canary
	}
	env.Canary = fmt.Sprintf(canary, then)
	return &env
}

// canary fails where the file did while it was loaded what forks cannot share.
const canary = `local({
  why <- getOption("rpipe.unsafe_to_fork", "")
  if (nzchar(why)) stop(why, "; with start: fork do it in after_fork instead", call. = FALSE)
  value <- {
%s
  }
  if (is.function(value)) value()
})`

func rBool(b bool) string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}

// rString is s as R code. R's environments hold no NUL.
func rString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
