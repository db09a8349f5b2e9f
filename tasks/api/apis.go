package api

import "time"

// APIs are those that the server has mounted beside its own paths.
type APIs struct {
	APIs []API `json:"apis" doc:"In the order of the configuration file."`
}

// API is one of them, with what its requests were of late.
type API struct {
	Name       string    `json:"name" doc:"By which logs and metrics call it."`
	Path       string    `json:"path" doc:"Below which it is served."`
	Host       string    `json:"host,omitempty" doc:"The host name that it is for; any without it."`
	Kind       string    `json:"kind" doc:"plumber, httpuv, shiny or predict."`
	File       string    `json:"file,omitempty" doc:"Its code, as the configuration names it."`
	Docs       string    `json:"docs,omitempty" doc:"Path of its documentation."`
	State      string    `json:"state" enum:"ready|starting|failed|draining" doc:"failed: no code of it works. A newer code that does not work leaves the one before in place, and is said by error alone."`
	Reason     string    `json:"reason,omitempty" doc:"Why it is not ready."`
	Error      string    `json:"error,omitempty" doc:"Why the newest code does not serve, with what R said."`
	Generation int       `json:"generation" doc:"Of its code: one more with each that took over. 0 where none did."`
	Since      time.Time `json:"since,omitzero" doc:"When this generation took over."`
	Loaded     time.Time `json:"loaded,omitzero" doc:"When code was last loaded, with whatever came of it."`
	Pool       string    `json:"pool" doc:"The pool whose workers answer; tasks is that of the tasks."`
	Workers    APIPool   `json:"workers" doc:"The workers of that pool that have this API loaded."`

	Traffic
	Routes []APIRoute   `json:"routes,omitempty" doc:"The busiest first. Of one API alone."`
	Errors []APIFailure `json:"errors,omitempty" doc:"Answers of 5xx, the most recent first, those like one another together. Of one API alone."`
}

// APIPool counts workers of an API.
type APIPool struct {
	Max      int `json:"max" doc:"Of the pool, for all that share it."`
	Up       int `json:"up" doc:"Idle or busy."`
	Busy     int `json:"busy" doc:"With a request."`
	Starting int `json:"starting" doc:"On their way."`
	Waiting  int `json:"waiting" doc:"Requests that wait for one."`
}

// Traffic is what requests were of late. All but requests and in_flight are about the
// window.
type Traffic struct {
	Requests int64   `json:"requests" doc:"Since the server started."`
	InFlight int     `json:"in_flight" doc:"Under way."`
	Window   float64 `json:"window" doc:"Seconds that the rest is about."`
	Rate     float64 `json:"rate" doc:"Requests a second."`
	OK       int     `json:"ok" doc:"Answered with 1xx or 2xx."`
	Moved    int     `json:"moved" doc:"With 3xx."`
	Bad      int     `json:"bad" doc:"With 4xx."`
	Failed   int     `json:"failed" doc:"With 5xx."`
	Gone     int     `json:"gone" doc:"Whose client left before."`
	Took     Latency `json:"took" doc:"Seconds from the head of a request to the end of its answer."`
	Queue    Latency `json:"queue" doc:"Seconds that requests waited for a worker."`
	R        Latency `json:"r" doc:"Seconds in R."`
}

// Latency is quantiles of durations in seconds.
type Latency struct {
	P50 float64 `json:"p50" doc:"Half of them took no longer."`
	P90 float64 `json:"p90" doc:"Nine of ten."`
	P99 float64 `json:"p99" doc:"99 of 100."`
	Max float64 `json:"max" doc:"The longest."`
}

// APIRoute is one route of an API.
type APIRoute struct {
	Route string `json:"route" doc:"As the API's code has it."`
	Traffic
}

// APIFailure is an answer of 5xx.
type APIFailure struct {
	First     time.Time `json:"first" doc:"When it was first."`
	Last      time.Time `json:"last" doc:"When it was last."`
	Count     int       `json:"count" doc:"How often."`
	RequestID string    `json:"request_id" doc:"Of the last, as the logs have it."`
	Method    string    `json:"method" doc:"Of the request."`
	Path      string    `json:"path" doc:"Of the last, without its query."`
	Route     string    `json:"route" doc:"As the API's code has it."`
	Status    int       `json:"status" doc:"Of the answer."`
	Reason    string    `json:"reason,omitempty" doc:"As a code; absent where R answered so."`
	Message   string    `json:"message" doc:"What R said, or why R could not answer."`
	Details   string    `json:"details,omitempty" doc:"R's traceback, a dead worker's last lines, what R printed."`
}

// Reload is what came of reading the configuration file again.
type Reload struct {
	Changed []string `json:"changed" doc:"Keys of the file that were changed since, and hold now."`
	Restart []string `json:"restart,omitempty" doc:"Keys that were changed, and hold after a restart."`
	Failed  []string `json:"failed,omitempty" doc:"What was changed and does not work, with why: there the old goes on."`
}
