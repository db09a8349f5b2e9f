package stages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// Reduce calls an R function on each group of rows: all rows that agree in some
// columns, as one data.frame, in the order in which they came. What it returns,
// a data.frame of any number of rows, gets the group's columns in front, unless
// it has them.
//
// The rows are sorted first, on the disk where they do not fit into memory, so
// groups come in the order of the columns, with NA last. A group has to fit into
// the memory of one R process.
type Reduce struct {
	By          []string         `yaml:"by" scalar:"true" doc:"The columns in which the rows of a group agree; NA is a value of its own. Without it all rows are one group." example:"[carrier, month]"`
	Fun         string           `yaml:"fun" required:"true" doc:"The R function, from a file of r.source or as package::name. It takes the data.frame of a group, with all columns, and returns one." example:"fit_delay"`
	Args        configs.Pairs    `yaml:"args" doc:"Further arguments of the function: numbers, true or false, or text." example:"{cutoff: 15}"`
	Returns     configs.Pairs    `yaml:"returns" doc:"The columns that the function returns, name to type, in order, without those of by. Without it the first group decides." example:"{slope: double, p: double}"`
	Ordered     bool             `yaml:"ordered" default:"true" doc:"Keep the order of the groups. false lets a fast group overtake a slow one."`
	Timeout     configs.Duration `yaml:"timeout" default:"0s" doc:"How long R may take for one group; the code is then interrupted. 0 is no limit."`
	InFlight    int              `yaml:"in_flight" default:"0" min:"0" doc:"Groups handed to the R pool at once. 0 is one more than it has workers."`
	Int64       string           `yaml:"int64" default:"double" enum:"double|integer64" doc:"How 64-bit integers arrive in R: as double (a value beyond 2^53 is an error) or as integer64 of package bit64."`
	Seed        *int64           `yaml:"seed" doc:"Makes random numbers reproducible: each group gets its own L'Ecuyer-CMRG stream, which depends on the values of by and on nothing else."`
	Isolate     bool             `yaml:"isolate" default:"false" doc:"Run each group in a fork of its own that ends with it. Costs 10 to 25 ms a group."`
	OnError     string           `yaml:"on_error" default:"stop" enum:"stop|retry|skip|dead_letter" doc:"What to do with a group that fails: stop ends the run; retry tries it again, max_attempts times in all, then ends the run; skip drops its rows and counts them; dead_letter writes them to the pipeline's dead_letter with the error, and goes on."`
	MaxAttempts int              `yaml:"max_attempts" default:"3" min:"1" doc:"How often a group is tried whose R worker died, and, with on_error: retry, one whose code failed."`
	MaxFailed   *MaxFailed       `yaml:"max_failed" doc:"Ends a run that skips or sets aside too many rows."`
}

// Check implements configs.Checker.
func (c *Reduce) Check(report func(field, message, hint string)) {
	checkFun(c.Fun, report)
	if _, err := c.call().returns(); err != nil {
		report("returns", err.Error(), "")
	}
	seen := map[string]bool{}
	for i, name := range c.By {
		if seen[name] {
			report(fmt.Sprintf("by[%d]", i), fmt.Sprintf("%q is there twice", name), "")
		}
		seen[name] = true
	}
}

// Blocks implements Blocking.
func (c *Reduce) Blocks() bool { return true }

// DeadLetters reports whether rows that fail go to the dead letter.
func (c *Reduce) DeadLetters() bool { return c.OnError == "dead_letter" }

// UsesR implements UsesR.
func (c *Reduce) UsesR() (fun string, inFlight int) { return c.Fun, c.InFlight }

// call is the map that a group is a batch of.
func (c *Reduce) call() *Map {
	return &Map{
		Fun: c.Fun, Args: c.Args, Rows: "any", Returns: c.Returns, Ordered: c.Ordered, Timeout: c.Timeout,
		InFlight: c.InFlight, Int64: c.Int64, Seed: c.Seed, Isolate: c.Isolate,
		OnError: OnError{OnError: c.OnError, MaxAttempts: c.MaxAttempts, MaxFailed: c.MaxFailed},
	}
}

// Plan implements Transform.
func (c *Reduce) Plan(in *frame.Schema) (*frame.Schema, error) {
	returns, err := c.call().returns()
	if err != nil || in == nil {
		return nil, err
	}
	if err := c.checkKeys(in); err != nil {
		return nil, err
	}
	_, err = PlanSQL(func(e SQLEngine) (*frame.Schema, error) {
		q, err := e.Sort(context.Background(), in, c.By)
		if err != nil {
			return nil, err
		}
		return q.Schema(), nil
	})
	if err != nil || returns == nil {
		return nil, err
	}
	f, err := c.withKeys(frame.Empty(in), frame.Empty(returns))
	if err != nil {
		return nil, err
	}
	return f.Schema(), nil
}

// checkKeys says which of the columns of by is not there.
func (c *Reduce) checkKeys(in *frame.Schema) error {
	for i, name := range c.By {
		if _, _, err := frame.SelectSchema(in, []string{name}); err != nil {
			return &keyError{fmt.Sprintf("by[%d]", i), err}
		}
	}
	return nil
}

// Build implements Transform.
func (c *Reduce) Build(env *Env) (Stage[frame.Frame, frame.Frame], error) {
	engine, err := env.SQL()
	if err != nil {
		return nil, err
	}
	call := c.call()
	declared, err := call.returns()
	if err != nil {
		return nil, err
	}
	call.Returns = nil // what agrees there has the group's columns in front
	m := &mapper{named: c.name, stream: c.stream}
	m.finish = func(in, out frame.Frame) (frame.Frame, error) {
		if declared != nil && out.NumCols() > 0 {
			var err error
			if out, err = frame.Conform(out, declared); err != nil {
				return nil, fmt.Errorf("what %s returned is not what returns: declares: %w", c.Fun, err)
			}
		}
		return c.withKeys(in, out)
	}
	each, err := call.build(env, m)
	if err != nil {
		return nil, err
	}
	groups := Whole(env, func(ctx context.Context, next func(context.Context) (frame.Frame, error), emit func(frame.Frame) error) error {
		return c.group(ctx, engine, next, emit)
	})
	return Chain(0, groups, each), nil
}

// group sorts the rows, and emits one frame for each group.
func (c *Reduce) group(ctx context.Context, engine SQLEngine, next SQLInput, emit func(frame.Frame) error) error {
	first, err := next(ctx)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	in := first.Schema()
	if err := c.checkKeys(in); err != nil {
		return err
	}
	cut := &groupCutter{emit: emit}
	if len(c.By) == 0 {
		return cut.all(ctx, following(first, next))
	}
	q, err := engine.Sort(ctx, in, c.By)
	if err != nil {
		return err
	}
	defer q.Close()
	for i, f := range in.Fields() {
		cut.columns = append(cut.columns, newKeyColumn(in, i, f.Name))
	}
	for _, name := range c.By {
		cut.by = append(cut.by, in.FieldIndices(name)[0])
	}
	rows := following(first, next)
	watched := func(ctx context.Context) (frame.Frame, error) {
		f, err := rows(ctx)
		if err == nil {
			for _, k := range cut.columns {
				k.watch(f)
			}
		}
		return f, err
	}
	if err := q.Run(ctx, map[string]SQLInput{"input": watched}, cut.add); err != nil {
		return outOfMemory(err)
	}
	return cut.flush()
}

// withKeys puts the group's columns in front of what the function returned for
// it, those that this does not have.
func (c *Reduce) withKeys(in, out frame.Frame) (frame.Frame, error) {
	var fields []arrow.Field
	var columns []arrow.Array
	n := int(out.NumRows())
	if out.NumCols() == 0 { // data.frame() says that there is nothing
		return out, nil
	}
	for _, name := range c.By {
		if out.Schema().HasField(name) {
			continue
		}
		key, err := frame.Select(in, []string{name})
		if err != nil {
			return nil, err
		}
		if key, err = frame.Take(key, make([]int32, n)); err != nil {
			return nil, err
		}
		fields, columns = append(fields, key.Schema().Field(0)), append(columns, key.Column(0))
	}
	if len(fields) == 0 {
		return out, nil
	}
	return frame.New(arrow.NewSchema(append(fields, out.Schema().Fields()...), nil), append(columns, out.Columns()...), n), nil
}

// name is how errors call a group.
func (c *Reduce) name(b *Rows) string {
	rows := fmt.Sprintf("%d rows", b.Rows)
	if b.Rows == 1 {
		rows = "1 row"
	}
	if len(c.By) == 0 || b.Rows == 0 {
		return "all rows (" + rows + ")"
	}
	var keys []string
	for _, name := range c.By {
		a, _, _ := frame.Lookup(b.Value, name)
		keys = append(keys, name+" = "+keyText(a, 0))
	}
	return "group " + strings.Join(keys, ", ") + " (" + rows + ")"
}
