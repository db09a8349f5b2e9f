package predict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Endpoint is a path to which clients POST rows, and which answers with results.
type Endpoint struct {
	Path     string `yaml:"path" default:"/predict" doc:"Path of the endpoint, below that of its API. POST sends rows; GET describes the endpoint."`
	Fun      string `yaml:"fun" doc:"The R function: of a file that the API sources or of r.source, or as package::name. It takes a data.frame and returns, for each of its rows, one row of a data.frame, one element of a vector or one row of a matrix. Rows of several requests may come in one call, so each row's result must depend on that row alone (else say batch.requests: 1)." example:"predict_delay"`
	Pipeline string `yaml:"pipeline" doc:"A pipeline file, in place of fun: the rows go through its stages, and what its sink would get is the answer." example:"features.yaml"`

	Schema  configs.Pairs   `yaml:"schema" doc:"The columns of the rows, name to type. Rows are checked by it, each with an error of its own, and R gets the columns in this order and of these types. Types are those of returns of map: bool, int32, int64, double, string, factor, date, timestamp[UTC], json, list<double>. Without it the types are taken from each request, and columns that come are passed on." example:"{carrier: factor, distance: double}"`
	Rules   map[string]Rule `yaml:"rules" doc:"What the values of columns of schema must be." example:"{distance: {min: 0}}"`
	Extra   string          `yaml:"extra" default:"ignore" enum:"ignore|error" doc:"What columns that schema does not have are: passed over, or an error."`
	Returns configs.Pairs   `yaml:"returns" doc:"The columns of the results, name to type; else they are what R returns. A vector is one column, called prediction where this does not name it." example:"{delay: double}"`
	Keys    []string        `yaml:"keys" doc:"Columns of the rows that are put before the results."`
	Int64   string          `yaml:"int64" default:"double" enum:"double|integer64" doc:"How 64-bit integers arrive in R: as double (a value beyond 2^53 is an error) or as integer64 of package bit64."`

	Batch       Batch            `yaml:"batch" doc:"How rows of several requests are put together. Requests to a pipeline are not put together."`
	Concurrency int              `yaml:"concurrency" default:"0" min:"0" doc:"Batches in R at once. 0 is the number of workers that the pool may have."`
	Queue       Queue            `yaml:"queue" doc:"Requests that wait for a batch."`
	Timeout     configs.Duration `yaml:"timeout" default:"0s" doc:"How long R may take for one batch; the code is then interrupted and the answer is 504. 0 is the API's timeout."`
	MaxRows     int              `yaml:"max_rows" default:"100000" min:"1" doc:"Rows of one request. More are answered with 413."`
	MaxBody     configs.Size     `yaml:"max_body" default:"64MiB" min:"1" doc:"Bytes of one request. More are answered with 413."`

	OnError     string `yaml:"on_error" default:"rows" enum:"rows|fail" doc:"rows: each row that fails has an error in its place, and the others their results; the status is 200 where there is at least one result. fail: a request of which a row fails is answered with the errors alone, and 422 or 5xx."`
	MaxAttempts int    `yaml:"max_attempts" default:"2" min:"1" max:"10" doc:"How often rows are tried whose R worker dies."`
	MaxHalvings int    `yaml:"max_halvings" default:"16" min:"0" doc:"How often a batch that fails in R is halved to find the rows at fault. After a timeout once at most. What is left is tried once more request by request."`
	Messages    bool   `yaml:"messages" default:"true" doc:"Whether clients are told the message of an R error. false says only that there was one; the log has it."`
}

// Batch says how many rows go to R in one call.
type Batch struct {
	Rows     int              `yaml:"rows" default:"1000" min:"1" doc:"Rows of one call, at most. Larger requests are split."`
	Bytes    configs.Size     `yaml:"bytes" default:"16MiB" min:"1" doc:"Bytes of one call, as the columns take them in memory. A row that is larger goes alone."`
	Requests int              `yaml:"requests" default:"0" min:"0" doc:"Requests whose rows may be in one call. 1 keeps requests apart. 0 is no limit."`
	Wait     configs.Duration `yaml:"wait" default:"5ms" doc:"How long a request waits, at most, while a worker is free, for others that were under way a moment ago. One that is alone never waits, and none does for longer than it takes until all of those are back. 0 sends at once what there is."`
}

// Queue bounds the requests that wait. Those that wait for a worker of the pool are
// in its queue, which has limits of its own.
type Queue struct {
	Length int              `yaml:"length" default:"1024" min:"1" doc:"Requests that wait, at most. One more is answered with 503 and Retry-After."`
	Wait   configs.Duration `yaml:"wait" default:"60s" doc:"How long one may wait before it is answered with 503 and Retry-After. 0 is no limit."`
}

// Rule is what the values of a column must be.
type Rule struct {
	Required *bool    `yaml:"required" doc:"Whether each row must have the column. true unless said otherwise; a column that is left out is NA."`
	Nullable *bool    `yaml:"nullable" doc:"Whether null is allowed, which R sees as NA. true unless said otherwise."`
	Enum     []string `yaml:"enum" doc:"The only values of a column of text. Those of a factor are its levels, in this order."`
	Min      *float64 `yaml:"min" doc:"The smallest number."`
	Max      *float64 `yaml:"max" doc:"The largest number."`
}

// Check implements configs.Checker.
func (e *Endpoint) Check(report func(field, message, hint string)) {
	if !strings.HasPrefix(e.Path, "/") {
		report("path", "must begin with a slash", "such as /predict")
	}
	switch {
	case e.Fun == "" && e.Pipeline == "":
		report("", "says neither fun nor pipeline, so nothing would answer", "name an R function, such as fun: predict_delay")
	case e.Fun != "" && e.Pipeline != "":
		report("pipeline", "stands beside fun", "an endpoint is one of them: make two endpoints")
	case strings.ContainsAny(e.Fun, "()\n;"):
		report("fun", "is not the name of a function", "define a function in a file of the API, and name it here")
	}
	checkTypes("schema", e.Schema, report)
	checkTypes("returns", e.Returns, report)
	for name, rule := range e.Rules {
		text, known := e.Schema.Get(name)
		if !known {
			report("rules."+name, "is a column that schema does not have", "schema has "+strings.Join(names(e.Schema), ", "))
			continue
		}
		f, err := frame.ParseType(text)
		if err != nil {
			continue // said already
		}
		kind := frame.KindOf(f)
		if len(rule.Enum) > 0 && kind != frame.KindString && kind != frame.KindFactor {
			report("rules."+name+".enum", "is for columns of text, and "+name+" is "+text, "make it string or factor")
		}
		if (rule.Min != nil || rule.Max != nil) && !numeric(kind) {
			report("rules."+name, "min and max are for numbers, and "+name+" is "+text, "")
		}
	}
	for i, key := range e.Keys {
		if _, known := e.Schema.Get(key); len(e.Schema) > 0 && !known {
			report(fmt.Sprintf("keys[%d]", i), "is a column that schema does not have", "add it there, with its type")
		}
		if slices.Contains(e.Keys[:i], key) {
			report(fmt.Sprintf("keys[%d]", i), "is named twice", "")
		}
	}
}

// Warn implements configs.Warner.
func (e *Endpoint) Warn(report func(field, message, hint string)) {
	if len(e.Schema) == 0 && e.Pipeline == "" {
		report("", "has no schema: what clients send goes to R as it comes", "name the columns and their types under schema")
	}
}

func checkTypes(field string, pairs configs.Pairs, report func(field, message, hint string)) {
	for _, p := range pairs {
		if _, err := frame.ParseType(p.Value); err != nil {
			report(field+"."+p.Name, err.Error(), "")
		}
	}
}

func names(pairs configs.Pairs) []string {
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = p.Name
	}
	return out
}

func numeric(k frame.Kind) bool {
	return k == frame.KindInt32 || k == frame.KindInt64 || k == frame.KindDouble || k == frame.KindDifftime
}
