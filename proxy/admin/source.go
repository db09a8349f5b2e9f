package admin

import (
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
)

// Source is what the status page shows, less what a Recorder has seen. Snapshot
// is called for every request of a page, from any goroutine, and must be quick:
// it asks no R process and waits for nothing.
type Source interface{ Snapshot() Snapshot }

// Snapshot is a proxy at one moment.
type Snapshot struct {
	Name      string // of the proxy, "" for none
	Version   string // of rpipe
	Started   time.Time
	Draining  bool   // the proxy ends
	File      string // its proxy.yaml, "" for none
	FileError error  // why that file could not be read again; nil where it could
	APIs      []API
	Pools     []Pool
	Pipelines []Pipeline
}

// API is one API with the generation of its code that serves.
type API struct {
	Name      string
	Path      string // prefix, "/" for the root
	Host      string // "" for any
	Transport string // plumber, httpuv, shiny, predict
	File      string // its code, as the user named it
	Docs      string // path of its documentation, "" for none
	Pool      string // name of its Pool
	// Environment is the rpool fingerprint of the generation that serves, which
	// leads to its workers; "" where none serves.
	Environment string
	OnDemand    bool // it may have no worker while nobody asks: the pool's min is 0

	Generation int       // 0 where none has come up yet
	Since      time.Time // when it took over
	Tried      time.Time // when code was last loaded, with what came of it:
	Err        error     // why the newest code does not serve; nil where it does
}

// Pool is a pool of R workers.
type Pool struct {
	Name    string
	Options rpool.Options // as configured; 0 is the default of rpool
	Stats   rpool.Stats
}

// Pipeline is a pipeline that runs beside the APIs.
type Pipeline struct {
	Name  string
	File  string
	Pool  string
	State string // waiting, running, done, failed, or what else its runner says
	Rows  int64  // read from its source so far
	Since time.Time
	Next  time.Time // the next run; zero for none
	Err   error     // of the last run
}
