package stages

import (
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Map calls an R function on each batch: a data.frame in, a data.frame
// out. The R workers of the pipeline's r block run it, as many batches at once
// as there are workers; or, with on, those of a task server.
type Map struct {
	Fun      string           `yaml:"fun" required:"true" doc:"The R function, from a file of r.source or as package::name. It takes a data.frame and returns one." example:"predict_delay"`
	On       string           `yaml:"on" doc:"Queue of a task server (see tasks) whose workers call the function, on this machine or others, in place of R processes of this run. They load what the r block says of source, packages, setup, options and env." example:"long"`
	Args     configs.Pairs    `yaml:"args" doc:"Further arguments of the function: numbers, true or false, or text." example:"{cutoff: 15}"`
	Rows     string           `yaml:"rows" default:"any" enum:"any|same" doc:"same: the function returns one row for each row it was given, which is checked; rows then do not depend on each other, and a batch that fails may be taken apart."`
	Returns  configs.Pairs    `yaml:"returns" doc:"The columns that the function returns, name to type, in order. Without it the first batch decides." example:"{carrier: string, predicted: double}"`
	Ordered  bool             `yaml:"ordered" default:"true" doc:"Keep the order of the batches. false lets a fast batch overtake a slow one."`
	Timeout  configs.Duration `yaml:"timeout" default:"0s" doc:"How long R may take for one batch; the code is then interrupted. 0 is no limit."`
	InFlight int              `yaml:"in_flight" default:"0" min:"0" doc:"Batches handed to the R pool at once. 0 is one more than it has workers, and 32 with on."`
	Int64    string           `yaml:"int64" default:"double" enum:"double|integer64" doc:"How 64-bit integers arrive in R: as double (a value beyond 2^53 is an error) or as integer64 of package bit64."`
	Seed     *int64           `yaml:"seed" doc:"Makes random numbers reproducible: each batch gets its own L'Ecuyer-CMRG stream, whatever worker runs it."`
	Isolate  bool             `yaml:"isolate" default:"false" doc:"Run each batch in a fork of its own that ends with it. Costs 10 to 25 ms a batch."`
	OnError  `yaml:",inline"`
}

// UsesR is implemented by configured stages that call an R function.
type UsesR interface {
	// UsesR tells the function, and how many requests the stage hands to the R
	// pool at once; 0 is one more than that has workers.
	UsesR() (fun string, inFlight int)
}

// UsesR implements UsesR.
func (c *Map) UsesR() (fun string, inFlight int) { return c.Fun, c.InFlight }

// Elsewhere is the queue whose workers call the function; "" is here.
func (c *Map) Elsewhere() string { return c.On }

// Check implements configs.Checker.
func (c *Map) Check(report func(field, message, hint string)) {
	checkFun(c.Fun, report)
	if _, err := c.returns(); err != nil {
		report("returns", err.Error(), "")
	}
}

func checkFun(fun string, report func(field, message, hint string)) {
	if strings.ContainsAny(fun, "()\n;") {
		report("fun", "is not the name of a function", "define a function in a file of r.source, and name it here")
	}
}

// Warn implements configs.Warner.
func (c *Map) Warn(report func(field, message, hint string)) {
	if c.Rows != "same" && !c.stops() {
		report("rows", "without rows: same a batch that fails is rejected whole", "say rows: same if the function treats each row alone")
	}
	if c.Seed != nil && !c.Ordered {
		report("ordered", "with ordered: false the rows' order differs from run to run, though their values do not", "leave it out for equal files")
	}
}

// Plan implements Transform.
func (c *Map) Plan(*frame.Schema) (*frame.Schema, error) { return c.returns() }

// returns is the declared schema; nil for none.
func (c *Map) returns() (*frame.Schema, error) {
	if len(c.Returns) == 0 {
		return nil, nil
	}
	fields := make([]arrow.Field, len(c.Returns))
	for i, p := range c.Returns {
		f, err := frame.ParseType(p.Value)
		if err != nil {
			return nil, err
		}
		f.Name = p.Name
		fields[i] = f
	}
	return arrow.NewSchema(fields, nil), nil
}

func (c *Map) rOptions() frame.ROptions {
	if c.Int64 == "integer64" {
		return frame.ROptions{Int64: frame.Int64Bit64}
	}
	return frame.ROptions{}
}

func (c *Map) timeout() time.Duration { return time.Duration(c.Timeout) }
