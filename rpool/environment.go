package rpool

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Start says how a worker comes to be.
type Start string

const (
	// StartAuto forks a canary after load and falls back to StartSpawn where it hangs or dies.
	StartAuto Start = "auto"
	// StartFork forks every worker from the template.
	StartFork Start = "fork"
	// StartSpawn starts a fresh R for each worker.
	StartSpawn Start = "spawn"
)

// Environment is what an R worker has loaded before its first request. Two
// environments with the same Fingerprint share a template.
type Environment struct {
	R        string   // the Rscript or R binary; "" finds it (RPIPE_R, R_HOME, PATH)
	Packages []string // attached in order, in the template, once
	Sources  []string // files sourced into the global environment, in the template, once
	Setup    string   // R code run after Sources
	Files    []string // further files that are read meanwhile; only their content matters here, see Fingerprint
	// Handler is R code, evaluated after Setup in an environment of its own, whose
	// value is a function that answers HTTP requests: of one argument, a Rook
	// request, it returns a Rook response, or a promise of one. Its attribute
	// "about", a string, is what Pool.About returns; its attribute "exit", a
	// function of no arguments, is called when a worker ends in good order.
	Handler string
	Dir     string            // working directory of the template; "" is the process's
	Env     []string          // extra environment variables, KEY=value
	Options map[string]string // R options() set before Packages: name to R expression

	// Version tells environments apart that are equal otherwise: a reload of the
	// same files, which may read others.
	Version string

	// Min is how many workers are kept up once the environment is in use, where that
	// is more than Options.Min. It is no part of the Fingerprint.
	Min int `json:"-"`

	Start      Start         // "" is StartAuto
	Canary     string        // an R function name or expression run in the canary fork; "" is DefaultCanary
	CanaryWait time.Duration // 0 is 5s
	BeforeFork string        // R code run in the template before each fork, that of its standby too
	AfterFork  string        // R code run in each worker after its fork
	User       string        // uid or name that the template runs as; "" is our own
	Limits     Limits
}

// Limits are set on the template and inherited by its workers; zero is none.
type Limits struct {
	AddressSpace int64         // bytes, RLIMIT_AS
	CPU          time.Duration // RLIMIT_CPU
	Files        int           // RLIMIT_NOFILE
	Processes    int           // RLIMIT_NPROC
}

// check finds strings that R could not read, and a Start that is unknown.
func (e *Environment) check() error {
	switch e.Start {
	case "", StartAuto, StartFork, StartSpawn:
	default:
		return fmt.Errorf("rpool: start: %q is none of auto, fork and spawn", e.Start)
	}
	var bad error
	text := func(what, s string) {
		if err := checkText(s); err != nil && bad == nil {
			bad = fmt.Errorf("rpool: environment: %s: %w", what, err)
		}
	}
	for _, s := range e.Packages {
		text(fmt.Sprintf("package %q", s), s)
	}
	for _, s := range e.Sources {
		text(fmt.Sprintf("source %q", s), s)
	}
	for _, s := range sortedKeys(e.Options) {
		text(fmt.Sprintf("option %q", s), s)
		text(fmt.Sprintf("value of option %q", s), e.Options[s])
	}
	text("version", e.Version)
	text("setup", e.Setup)
	text("handler", e.Handler)
	text("canary", e.Canary)
	text("before_fork", e.BeforeFork)
	text("after_fork", e.AfterFork)
	return bad
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// DefaultCanary is what a canary does where an Environment does not say: it sends
// a data.frame round and touches the linear algebra, whose libraries have threads.
const DefaultCanary = `local({
  df <- unserialize(serialize(data.frame(x = 1:100, y = as.character(1:100)), NULL, xdr = FALSE))
  stopifnot(nrow(df) == 100L, all(is.finite(crossprod(matrix(1, 200, 200)))))
})`
